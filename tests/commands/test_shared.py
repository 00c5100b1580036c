"""What commands print: in lines, and nothing that a terminal would obey."""

import logging

from uncertainty.commands.shared import listened, say


def test_only_line_breaks_reach_the_terminal_as_they_are(capsys):
    say("a\x1b[2J\rb\nc\u202ed")
    say("\x1b]0;title\x07", err=True)
    assert capsys.readouterr() == ("a\\x1b[2J\\rb\nc\\u202ed\n", "\\x1b]0;title\\x07\n")


def test_what_is_warned_meanwhile_is_heard():
    logger = logging.getLogger("uncertainty")
    before = list(logger.handlers)
    with listened() as heard:
        logger.warning("near %s", "copies")
        logger.info("no warning")
    assert heard == ["near copies"]
    assert logger.handlers == before


def test_what_a_model_says_of_its_failure_is_shown_and_not_obeyed(world):
    hook = world.classifier.network.module.register_forward_pre_hook(_fail)
    try:
        table = world.screener.screen(world.incoming).table
    finally:
        hook.remove()
    (said,) = {error for error in table["error"].to_pylist() if error}
    assert "bad \\x1b[2J image" in said
    assert said.isprintable()


def _fail(module, inputs):
    raise ValueError("bad \x1b[2J image")
