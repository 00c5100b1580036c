#!/usr/bin/env bash
# Hugging Face datasets' map returns the answers of the old code after an imported function was changed.
#
# Versions: datasets 5.2.0, pyarrow 26.0.1, dill 0.4.1.
# Expected: the cache of map depends on a hash of the function (documentation, "The cache"), so that a changed
#   preprocessing or model function is run anew.
# Seen: of a function from an imported module its name is hashed and not its code, also where a function of the script
#   calls it: after features.py was edited, a new process gets the features of the old code from disk, without a word.
#   load_from_cache_file=False gives the new ones.
# Source: datasets/utils/_dill.py and dill, which pickle functions of modules by reference.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pyarrow==26.0.1 dill==0.4.1 numpy==2.4.6
export OMP_NUM_THREADS=1 HF_HOME="$folder/home" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
export PYTHONDONTWRITEBYTECODE=1
cd "$folder"
printf 'x\n1\n2\n' > rows.csv
cat > screen.py <<'PY'
import datasets
import features

rows = datasets.load_dataset("csv", data_files="rows.csv", split="train", cache_dir="cache")


def feature(row):
    return features.feature(row)


print(list(rows.map(features.feature)["f"]), list(rows.map(feature)["f"]),
      list(rows.map(features.feature, load_from_cache_file=False)["f"]))
PY
printf 'def feature(row):\n    return {"f": row["x"] * 1}\n' > features.py
before=$("$folder/venv/bin/python" screen.py 2> errors.txt | tail -1)
printf 'def feature(row):\n    return {"f": row["x"] * 10}\n' > features.py
after=$("$folder/venv/bin/python" screen.py 2> errors.txt | tail -1)
"$folder/venv/bin/python" -c 'from importlib.metadata import version as v; print("datasets", v("datasets"), "pyarrow", v("pyarrow"), "dill", v("dill"))'
echo "imported function, function of the script, imported without cache; first x * 1: $before"
echo "expected after the change to x * 10: [10, 20] [10, 20] [10, 20]"
echo "seen: $after"
test "$before" = "[1, 2] [1, 2] [1, 2]"
test "$after" = "[1, 2] [1, 2] [10, 20]"
