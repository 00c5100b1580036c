"""Run the notebooks beside this file from their first cell to their last, each in an empty folder.

pip install '.[examples]' && python examples/run.py           # does every cell still run?
pip install '.[examples]' && python examples/run.py --write   # and keep what they say
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent


def executed(path):
    """Return a notebook with fresh outputs, in which no folder of this machine is named."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=900, kernel_name="python3", record_timing=False, resources=resources).execute()
        text = nbformat.writes(notebook)
        for private, shown in ((folder, "."), (str(HERE), "examples"), (str(HERE.parent), ".")):
            text = text.replace(private, shown)
    return text


def main():
    """Run all; the first error of a cell ends it with its traceback."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    for path in sorted(HERE.glob("*.ipynb")):
        text = executed(path)
        if "--write" in sys.argv[1:]:
            path.write_text(text + "\n", encoding="utf-8")
        print(f"{path.name}: every cell ran")


if __name__ == "__main__":
    main()
