"""From verdicts to their accuracy without labels, and to an alarm where the images have drifted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from uncertainty.errors import InputError
from uncertainty.files import write_json
from uncertainty.images.groups import APART, Grouping
from uncertainty.monitoring.adapted_decisions import LOG_ODDS
from uncertainty.monitoring.batch import Monitoring
from uncertainty.screener import Screener
from uncertainty.screener.as_calibrated import as_calibrated
from uncertainty.screener.batch_level import ADAPTED_TO_BATCH
from uncertainty.screening.features_file import FEATURES_FILE
from uncertainty.screening.second_pass import MONITORING, monitored
from uncertainty.storage.mirror import at_urls
from uncertainty.verdicts import Verdicts, file_of, folder_of, metadata_of_rows, read_summary
from uncertainty.written import fingerprint, written


@at_urls("folder")
def monitor_folder(
    folder: Path,
    screener: Path | Screener,
    *,
    grouping: Grouping = APART,
    overwrite: bool = False,
    **options: Any,
) -> Monitoring:
    """Estimate the accuracy of a folder's verdicts without labels and look for drift; write `monitoring.json` there.

    `screener` is the one that made them, or its folder. `options` are those of `uncertainty.monitoring.batch.monitor`.
    Verdicts of another screener are refused, and a `monitoring.json` that holds something else unless `overwrite`.
    `grouping` says which images belong together.
    """
    made = screener if isinstance(screener, Screener) else Screener.load(screener, None)
    verdicts = Verdicts.read(folder)
    provenance, table = verdicts.provenance or read_summary(folder).get("provenance", {}), verdicts.table
    made_by = provenance.get("calibrated_on")
    if made_by is not None and made_by != json.loads(json.dumps(made.calibrated_on)):
        raise InputError(f"{folder} was judged by another screener than the one given; give the one that made it")
    options["groups"] = grouping.of(table["file_name"].to_pylist(), metadata_of_rows(table))
    if ADAPTED_TO_BATCH in provenance:  # else what the batch taught would be counted twice
        table = as_calibrated(table, made, _log_odds(folder, table))
    found = monitored(table.to_batches(max_chunksize=4096), made, **options)
    with written(folder_of(folder), [MONITORING], fingerprint(file_of(folder)), overwrite=overwrite) as where:
        write_json(where / MONITORING, found.to_json(), allow_nan=True)
    return found


def _log_odds(folder: Path, table: pa.Table) -> pa.ChunkedArray | None:
    """Return what is kept of single decisions beside the verdicts of a screening; None where that is not of them."""
    try:
        kept = pq.read_table(folder_of(folder) / FEATURES_FILE, columns=["file_name", LOG_ODDS])
    except (OSError, pa.ArrowException):
        return None
    same = LOG_ODDS in kept.column_names and kept["file_name"].to_pylist() == table["file_name"].to_pylist()
    return kept[LOG_ODDS] if same else None
