"""What makes a command begin sooner changes nothing else."""

import gc
import subprocess
import sys

import pytest

from uncertainty.commands.start import loading

pytest.importorskip("pandas")

_ASKED = """
import sys
from uncertainty.commands.start import leave_pandas_out
import pyarrow as pa
leave_pandas_out(), leave_pandas_out()
table = pa.table({"a": [1, 2]})
assert "pandas" not in sys.modules
import pandas as pd
assert pa.array(pd.Series([1.0, None], index=[5, 6])).to_pylist() == [1.0, None]
assert pa.Table.from_pandas(pd.DataFrame({"a": ["x"]})).to_pandas()["a"].tolist() == ["x"]
assert table.to_pandas()["a"].tolist() == [1, 2]
assert not [finder for finder in sys.meta_path if type(finder).__name__ == "_Pandas"]
"""


def test_pyarrow_knows_pandas_once_somebody_imports_it() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", _ASKED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_garbage_is_collected_again_after_loading() -> None:
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_commands_that_run_no_network_load_no_torch() -> None:
    code = "import sys, uncertainty.workflows.rank, uncertainty.workflows.evaluate\n"
    code += "assert not {'torch', 'scipy.stats', 'pandas'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
