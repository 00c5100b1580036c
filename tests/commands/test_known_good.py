"""`uncertainty known-good`."""

import shutil

from conftest import write_images


def test_known_good_images_come_and_go(run, fails, world, fitted, tmp_path):
    screener = shutil.copytree(fitted, tmp_path / "screener")
    for path in write_images(tmp_path / "more", 12, seed=8):
        path.rename(path.with_stem(f"more_{path.stem}"))
    status, said, notes = run("known-good", screener, "--add", tmp_path / "more", "-o", tmp_path / "new")
    assert status == 0
    assert "known-good images; before " in said.splitlines()[0]
    assert "known-good images changed after calibration: " in notes
    assert f"the one before is kept in {screener}" in said
    assert "fitted this screener already" in fails("known-good", tmp_path / "new", "--add", tmp_path / "more")
    names = tmp_path / "names.txt"
    names.write_text("cat/000.png\n")
    assert "holds a screener already" in fails("known-good", screener, "--remove", names, "-o", tmp_path / "new")
    assert run("known-good", screener, "--remove", names)[0] == 0
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("screener.")]) == 1
    assert "'cat/000.png', are of no known-good image" in fails("known-good", screener, "--remove", names)
    assert run("known-good", screener)[0] == 2
