import io
import os
import subprocess
import tracemalloc
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from uncertainty.errors import ImageError, InputError
from uncertainty.images.decoding import decode
from uncertainty.images.sources import find_images


def png(shade=0):
    stream = io.BytesIO()
    Image.new("L", (2, 2), shade).save(stream, "PNG")
    return stream.getvalue()


def filled(root, *names):
    for i, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(i))
    return root


def shades(images):
    return [int(decode(item.data).pixels[0, 0, 0]) for item in images]


def refused(path):
    with pytest.raises(InputError) as caught:
        find_images(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_flat_folder_is_sorted_and_has_no_labels(tmp_path):
    images = find_images(filled(tmp_path, "b.png", "a.PNG", "c.jpeg"))
    assert images.names == ("a.PNG", "b.png", "c.jpeg")
    assert images.labels is None
    assert images.folder_labels is None
    assert len(images) == 3
    assert shades(images) == [1, 0, 2] == shades(images)
    assert [item.label for item in images] == [None] * 3


def test_folders_only_suggest_labels(tmp_path):
    images = find_images(filled(tmp_path, "dog/1.png", "cat/1.png", "cat/deep/1.png"))
    assert images.names == ("cat/1.png", "cat/deep/1.png", "dog/1.png")
    assert images.labels is None
    assert images.folder_labels == ("cat", "cat", "dog")
    labelled = images.labelled()
    assert labelled.labels == ("cat", "cat", "dog")
    assert [item.label for item in labelled] == ["cat", "cat", "dog"]


def test_an_image_outside_the_folders_has_no_label_and_where_all_are_there_are_none(tmp_path):
    images = find_images(filled(tmp_path / "some", "dog/1.png", "2.png"))
    assert images.labelled().labels == (None, "dog")
    images = find_images(filled(tmp_path / "all", "1.png", "2.png"))
    with pytest.raises(InputError, match="has no labels; sort the images into one folder"):
        images.labelled()


ODD = (
    "a b.png",
    "it's.png",
    'say "x".png',
    "two\nlines.png",
    "käse.png",
    "日本.png",
    "-rf.png",
    "100%.png",
    "a,b.png",
    "#.png",
)


def test_odd_names(tmp_path):
    images = find_images(filled(tmp_path, *ODD))
    assert images.names == tuple(sorted(ODD))
    assert sorted(shades(images)) == list(range(len(ODD)))


def test_a_name_that_is_not_utf8_can_be_stored_and_read(tmp_path):
    with open(os.fsencode(tmp_path) + b"/k\xe4se.png", "wb") as file:
        file.write(png(7))
    images = find_images(tmp_path)
    assert images.names == ("k\\xe4se.png",)
    assert pa.array(images.names).to_pylist() == ["k\\xe4se.png"]
    assert shades(images) == [7]


def test_hidden_files_and_folders_are_skipped(tmp_path):
    filled(tmp_path, "a.png", ".b.png", ".git/c.png", "__MACOSX/._a.png")
    (tmp_path / "notes.txt").write_text("x")
    assert find_images(tmp_path).names == ("a.png",)


def test_links_are_followed_but_not_in_circles(tmp_path):
    filled(tmp_path / "set", "a/1.png", "b/2.png")
    filled(tmp_path / "elsewhere", "3.png")
    os.symlink("..", tmp_path / "set" / "a" / "up")
    os.symlink(tmp_path / "elsewhere", tmp_path / "set" / "c")
    os.symlink("nowhere.png", tmp_path / "set" / "dangling.png")
    os.symlink("self", tmp_path / "set" / "self")
    images = find_images(tmp_path / "set")
    assert images.names == ("a/1.png", "b/2.png", "c/3.png", "dangling.png")
    with pytest.raises(ImageError, match="does not exist"):
        decode(list(images)[3].data)


def test_single_file(tmp_path):
    filled(tmp_path, "x/a.png", "x/b.png", "x/plain")
    assert find_images(tmp_path / "x" / "b.png").names == ("b.png",)
    assert shades(find_images(str(tmp_path / "x" / "b.png"))) == [1]
    assert find_images(tmp_path / "x" / "plain").names == ("plain",)


def test_list_of_files_and_folders_is_named_from_what_they_share(tmp_path):
    filled(tmp_path, "x/a.png", "y/a.png", "y/z/b.png", "other/c.png")
    images = find_images([tmp_path / "y", str(tmp_path / "x" / "a.png"), tmp_path / "x" / "missing.png"])
    assert images.names == ("y/a.png", "y/z/b.png", "x/a.png", "x/missing.png")
    assert images.root == tmp_path
    assert shades(images.select([0, 1, 2])) == [1, 2, 0]


def test_bad_lists(tmp_path):
    filled(tmp_path, "a.png")
    (tmp_path / "none").mkdir()
    assert "empty" in refused([])
    assert "'a.png' more than once" in refused([tmp_path / "a.png", tmp_path / "a.png"])
    assert "no image" in refused([tmp_path / "none"])
    assert "is a manifest" in refused([tmp_path / "a.csv"])


def test_nothing_there(tmp_path):
    assert "does not exist" in refused(tmp_path / "nowhere")
    assert "found no file at all" in refused(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("x")
    text = refused(tmp_path)
    assert ".jpg" in text
    assert "found 1 other file such as 'sub/a.txt'" in text
    assert "neither an image" in refused(tmp_path / "sub" / "a.txt")


def test_manifest_keeps_its_order_and_missing_files_become_rows(tmp_path):
    filled(tmp_path, "x/1.png", "2.png")
    (tmp_path / "list.csv").write_text("file_name,label\nx/1.png,01\ngone.png,b\n2.png,\n")
    images = find_images(tmp_path / "list.csv")
    assert images.names == ("x/1.png", "gone.png", "2.png")
    assert images.labels == ("01", "b", None)
    assert images.labelled() is images
    with pytest.raises(ImageError, match="does not exist"):
        decode(list(images)[1].data)


def test_manifest_may_name_files_anywhere(tmp_path):
    filled(tmp_path, "far/1.png", "here/2.png")
    (tmp_path / "here" / "list.jsonl").write_text(
        f'{{"image": "../far/1.png"}}\n{{"image": "{tmp_path.as_posix()}/here/2.png"}}\n'
    )
    assert shades(find_images(tmp_path / "here" / "list.jsonl")) == [0, 1]


def test_manifest_with_a_double_name(tmp_path):
    (tmp_path / "list.csv").write_text("file_name\na.png\n./a.png\n")
    assert "'a.png' more than once" in refused(tmp_path / "list.csv")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_hugging_face_imagefolder(tmp_path, kind):
    filled(tmp_path, "train/1.png", "train/2.png", "new.png")
    columns = {"file_name": ["train/2.png", "train/1.png"], "label": ["dog", "cat"]}
    if kind == "csv":
        (tmp_path / "metadata.csv").write_text("file_name,label\ntrain/2.png,dog\ntrain/1.png,cat\n")
    elif kind == "jsonl":
        rows = [f'{{"file_name": "{n}", "label": "{v}"}}' for n, v in zip(*columns.values(), strict=True)]
        (tmp_path / "metadata.jsonl").write_text("\n".join(rows))
    else:
        pq.write_table(pa.table(columns), tmp_path / "metadata.parquet")
    images = find_images(tmp_path)
    assert images.names == ("train/2.png", "train/1.png", "new.png")
    assert images.labels == ("dog", "cat", None)
    assert images.folder_labels is None
    assert shades(images) == [1, 0, 2]


def test_select_by_positions_and_by_mask(tmp_path):
    images = find_images(filled(tmp_path, *(f"c{i % 2}/{i}.png" for i in range(6)))).labelled()
    part = images.select([5, 1, 1, 3])
    assert part.names == tuple(images.names[i] for i in (1, 3, 5))
    assert part.folder_labels == part.labels == tuple(images.labels[i] for i in (1, 3, 5))
    assert shades(part) == [shades(images)[i] for i in (1, 3, 5)]
    assert part.select(np.array([False, True, True])).names == part.names[1:]
    assert len(images.select([])) == 0
    assert list(images.select([])) == []
    for row in (6, -1):
        with pytest.raises(InputError, match=f"position {row} is not among 6 images"):
            images.select([row])


def test_select_refuses_a_mask_of_another_length(tmp_path):
    images = find_images(filled(tmp_path, "a.png", "b.png"))
    with pytest.raises(InputError, match="mask of 3 for 2 images"):
        images.select(np.array([True, False, False]))


def test_unreadable_folder_is_named(tmp_path, monkeypatch):
    filled(tmp_path, "a/1.png")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    assert refused(tmp_path) == f"the folder {tmp_path} can't be read (Permission denied)"


def test_metadata_stays_with_its_image(tmp_path):
    filled(tmp_path, "a.png", "b.png", "c.png", "d.png")
    (tmp_path / "metadata.csv").write_text("file_name,camera\nc.png,roof\na.png,door\nb.png,\n", "utf-8")
    images = find_images(tmp_path)
    assert images.names == ("c.png", "a.png", "b.png", "d.png")
    assert images.metadata == {"camera": ("roof", "door", None, None)}
    assert images.select([3, 1]).metadata == {"camera": ("door", None)}
    assert find_images(tmp_path / "a.png").metadata == {}


def test_a_metadata_table_for_some_of_many_images(tmp_path):
    names = [f"{i:03}.png" for i in range(60)]
    filled(tmp_path, *names)
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name", *names[10:50]]), "utf-8")
    assert find_images(tmp_path).names == (*names[10:50], *names[:10], *names[50:])


def test_names_are_in_the_order_of_the_whole_name(tmp_path):
    names = ["a-b/1.png", "a.png", "a/1.png", "a/b.c/1.png", "a/b/1.png", "a0.png"]
    assert find_images(filled(tmp_path, *names)).names == tuple(sorted(names))


def test_long_lists_take_few_bytes(tmp_path):
    names = [f"folder/image-{i:07}.png" for i in range(20_000)]
    (tmp_path / "list.csv").write_text("\n".join(["file_name,label,place", *(f"{n},cat,roof" for n in names)]), "utf-8")
    images = find_images(tmp_path / "list.csv")
    tracemalloc.start()
    try:
        images = find_images(tmp_path / "list.csv")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert images.names[-1] == names[-1]
    assert kept / len(names) < 80


def test_files_of_other_kinds_are_counted_aloud_and_pictures_that_nobody_reads_are_rows(tmp_path):
    pictures = ("a.png", "b.heic", "c.dcm", "d.avif", "e.jp2", "f.jxl", "g.dng", "h.jpg_large", "i.tga", "j.cr2")
    images = find_images(filled(tmp_path, *pictures, "noending", "notes.txt", ".hidden"))
    assert images.names == pictures
    assert images.notes == ("2 other files were not looked at, e.g. 'noending'",)


def test_metadata_that_is_read_is_no_other_file(tmp_path):
    filled(tmp_path, "cat/1.png", "dog/2.png", "dog/3.png", "dog/x.txt")
    (tmp_path / "metadata.csv").write_text("file_name,site\ncat/1.png,roof\ndog/2.png,hall\n")
    images = find_images(tmp_path)
    assert images.notes == (
        "1 other file was not looked at: 'dog/x.txt'",
        "1 image, 'dog/3.png', is not named in metadata.csv",
    )
    assert images.labels is None
    assert images.labelled().labels == ("cat", "dog", "dog")


def test_parts_of_a_data_set_above_class_folders(tmp_path):
    assert find_images(filled(tmp_path / "a", "train/cat/1.png", "Valid/cat/1.png")).splits == ("Valid", "train")
    assert find_images(filled(tmp_path / "b", "train/1.png", "cat/1.png")).splits is None


def test_folders_in_folders_in_folders(tmp_path):
    handle = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1100):  # one after another, since a whole path would be too long
        os.mkdir("d", dir_fd=handle)
        outer, handle = handle, os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(outer)
    with open(os.open("1.png", os.O_WRONLY | os.O_CREAT, dir_fd=handle), "wb") as file:
        file.write(png(7))
    os.close(handle)
    found = find_images(tmp_path).names
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # pytest would not get rid of it
    assert found == ("d/" * 1100 + "1.png",)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_is_found_in_either_unicode_form(tmp_path, form):
    filled(tmp_path, unicodedata.normalize(form, "café/déjà.png"))
    other = unicodedata.normalize("NFC" if form == "NFD" else "NFD", "café/déjà.png")
    (tmp_path / "m.csv").write_text(f"file_name\n{other}\n")
    assert shades(find_images(tmp_path / "m.csv")) == [0]


def test_a_manifest_whose_names_lead_nowhere_says_what_to_write(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    path = tmp_path / "m.csv"
    path.write_text("image,label\nimages/a.png,cat\nimages/b.png,dog\n")
    told = (
        f"row 1, has 'images/a.png' in the column 'image', and there is no such file: names are relative to {tmp_path}"
    )
    told = f"m.csv, {told}"
    assert find_images(path).notes == (f"{told}: write 'a.png'",)
    path.write_text("image,label\nimages/c.png,cat\n")
    assert find_images(path).notes == (told.replace("a.png", "c.png"),)
    path.write_text("image,label\nimages/c.png,cat\na.png,cat\n")
    assert find_images(path).notes == ()
