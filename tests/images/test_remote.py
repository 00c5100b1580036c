"""Images, manifests and Parquet files at URLs read as those on disk do."""

import json

import fsspec
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from conftest import write_images

from uncertainty.errors import ImageError, InputError
from uncertainty.images import remote
from uncertainty.images.decoding import decode, digest
from uncertainty.images.remote import RemotePath, located
from uncertainty.images.sources import find_images


@pytest.fixture(scope="module")
def bucket():
    """The same images as files, behind a manifest, and packed, in a store that is no disk."""
    store = fsspec.filesystem("memory")
    yield store
    store.rm("/bucket", recursive=True)


@pytest.fixture(scope="module")
def images(bucket, tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    write_images(root, 9, seed=5)
    (root / "cat" / "damaged, and grün.png").write_bytes(b"no image")
    (root / ".hidden.png").write_bytes(b"")
    local = find_images(root)
    for item in local:
        bucket.pipe(f"/bucket/photos/{item.name}", item.data.read_bytes())
    bucket.pipe("/bucket/photos/.hidden.png", b"")
    rows = [{"bytes": item.data.read_bytes(), "path": item.name} for item in local]
    for k in (0, 1):
        pq.write_table(pa.table({"image": rows[k::2]}), root / "packed.parquet")
        bucket.pipe(f"/bucket/packed/{k}.parquet", (root / "packed.parquet").read_bytes())
        (root / "packed.parquet").unlink()
    return local


def contents(images):
    return {
        item.name: item.data if isinstance(item.data, bytes) else located(str(item.data)).read_bytes()
        for item in images
    }


def test_a_folder_at_a_url(images):
    there = find_images("memory://bucket/photos")
    assert there.names == images.names
    assert there.folder_labels == images.folder_labels
    assert contents(there) == contents(images)
    assert there.fingerprint() == images.fingerprint()


def test_packed_images_at_a_url(images):
    there = find_images("memory://bucket/packed")
    assert contents(there) == contents(images)
    assert contents(find_images("memory://bucket/packed/0.parquet")).items() < contents(images).items()
    assert len(there.fingerprint()) == 32


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_manifest_names_images_relative_to_itself_or_by_url(images, bucket, tmp_path, ending):
    root = images.root
    whole = [f"memory://bucket/photos/{images.names[0]}", (root / images.names[1]).as_uri(), *images.names[2:]]
    path = tmp_path / f"list.{ending}"
    if ending == "parquet":
        columns = {"file_name": whole, "label": ["eel"] * len(whole), "camera": ["a"] * len(whole)}
        pq.write_table(pa.table(columns), path)
    elif ending == "csv":
        path.write_text("file_name,label,camera\n" + "".join(f'"{name}",eel,a\n' for name in whole), "utf-8")
    else:
        rows = ({"file_name": name, "label": "eel", "camera": "a"} for name in whole)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    bucket.pipe(f"/bucket/photos/list.{ending}", path.read_bytes())
    there = find_images(f"memory://bucket/photos/list.{ending}")
    assert list(there.names) == whole
    assert list(contents(there).values()) == list(contents(images).values())
    assert (set(there.labels), there.metadata) == ({"eel"}, {"camera": ("a",) * len(whole)})
    bucket.rm(f"/bucket/photos/list.{ending}")


def test_a_manifest_on_disk_may_name_images_at_urls(images, tmp_path):
    (tmp_path / "list.csv").write_text(f"file_name\nmemory://bucket/photos/{images.names[2]}\nmissing.png\n", "utf-8")
    first, second = find_images(tmp_path / "list.csv")
    assert decode(first.data).pixels.tolist() == decode(images.root / images.names[2]).pixels.tolist()
    assert digest(first.data) == digest(images.root / images.names[2])
    assert second.data == tmp_path / "missing.png"


def test_screening_at_a_url_gives_the_verdicts_of_the_disk(world, images):
    here, there = (world.screener.screen(where).table for where in (images.root, "memory://bucket/photos"))
    assert there.equals(here)
    assert there["error"].null_count == 9


def test_file_urls_are_paths(images):
    assert find_images(images.root.as_uri()).root == images.root


def test_what_does_not_exist(images, bucket):
    with pytest.raises(ImageError, match=r"^does not exist$"):
        RemotePath.parse("memory://bucket/photos/none.png").read_bytes()
    with pytest.raises(InputError, match=r"memory://bucket/none holds no image"):
        find_images("memory://bucket/none")
    with pytest.raises(InputError, match=r"memory://bucket/none\.csv does not exist"):
        find_images("memory://bucket/none.csv")
    with pytest.raises(InputError, match=r"nowhere://bucket/a\.csv can't be opened .*is the package for nowhere://"):
        find_images("nowhere://bucket/a.csv")
    with pytest.raises(InputError, match=r"'a b' is not a URL"):
        RemotePath.parse("a b")


class _Flaky(pyarrow.fs.LocalFileSystem):
    """Fails as often as told before it answers."""

    def __init__(self, error, times):
        super().__init__()
        self.error, self.times, self.asked = error, times, 0

    def open_input_file(self, path):
        self.asked += 1
        if self.asked <= self.times:
            raise self.error
        return super().open_input_file(path)


@pytest.mark.parametrize(
    ("error", "times", "expected", "asked"),
    [
        (OSError("timed out"), 2, None, 3),
        (
            OSError("AWS Error:\ntimed out"),
            3,
            (InputError, r"^s3://b/.*\.png can't be read \(AWS Error: timed out\)$"),
            3,
        ),
        (PermissionError("no"), 9, (ImageError, r"^can't be read \(permission denied\)$"), 1),
    ],
)
def test_what_may_pass_is_tried_again_and_never_becomes_a_verdict(
    images, monkeypatch, error, times, expected, asked, world
):
    system = _Flaky(error, times)
    monkeypatch.setattr(remote, "_arrow_system", lambda place, query: (system, str(images.root)))
    monkeypatch.setattr(remote, "_FIRST_PAUSE", 0)
    path = RemotePath.parse(f"s3://b/{images.names[0]}")
    if expected is None:
        assert path.read_bytes() == (images.root / images.names[0]).read_bytes()
    else:
        kind, message = expected
        with pytest.raises(kind, match=message) as told:
            path.read_bytes()
        assert type(told.value) is kind
    assert system.asked == asked


def test_secrets_are_not_shown():
    path = RemotePath.parse("s3://key:secret@bucket/a/b.png?endpoint_override=localhost&scheme=http")
    assert str(path / "c") == "s3://bucket/a/b.png/c"
    assert path.url == "s3://key:secret@bucket/a/b.png?endpoint_override=localhost&scheme=http"
    assert str(RemotePath.parse("abfs://container@account.dfs.core.windows.net/x")).startswith(
        "abfs://container@account"
    )
    assert (path.name, path.stem, path.suffix) == ("b.png", "b", ".png")
    assert "secret" not in repr(path)
