"""A store that speaks S3, in this process; without moto its tests are skipped."""

import logging
import os

import pytest

KEY, SECRET = "AKIATESTKEY", "a-secret-of-the-tests"


@pytest.fixture(scope="session")
def s3():
    """The URL of a bucket, up to its query; credentials lie where AWS looks for them."""
    server = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    store.start()
    host, port = store.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        from pyarrow.fs import FileSystem

        FileSystem.from_uri("s3://bucket?allow_bucket_creation=true")[0].create_dir("bucket")
        yield "s3://bucket"
        store.stop()


def contents(url):
    """Return the bytes of every object below a URL, by name."""
    from pyarrow.fs import FileSelector, FileSystem, FileType

    system, root = FileSystem.from_uri(url)
    found = system.get_file_info(FileSelector(root, allow_not_found=True, recursive=True))
    return {
        os.path.relpath(one.path, root): system.open_input_file(one.path).read()
        for one in found
        if one.type == FileType.File
    }
