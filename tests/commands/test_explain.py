"""`uncertainty explain`, and `screen` of one image."""


def test_explain_and_screen_of_one_image_say_why(run, world, fitted, tmp_path):
    image = world.incoming / "000.png"
    status, told, _ = run("explain", fitted, image, world.incoming / "001.png")
    assert status == 0
    lines = told.splitlines()
    assert lines[0].startswith("000.png: predicted ")
    assert lines[1].startswith("  p_wrong ")
    assert " the line at " in lines[1]
    assert any(line.startswith("  nearest known-good images: ") for line in lines)
    first = told[: told.index("001.png: predicted ")]
    status, told, _ = run("screen", fitted, image, "-o", tmp_path / "out")
    assert status == 0
    assert told.startswith("1 image: ")
    assert first in told
