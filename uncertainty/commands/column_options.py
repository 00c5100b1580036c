"""The options that say which columns of a table are meant, and how its labels are written."""

from __future__ import annotations

from typing import Any

from uncertainty.commands.added_options import with_options
from uncertainty.commands.options import Group, GroupBy, LabelColumn, LabelSeparator, NameColumn, SeveralLabels, Split
from uncertainty.commands.start import loading

_LABELS: dict[str, tuple[Any, Any]] = {
    "name_column": (NameColumn, None),
    "label_column": (LabelColumn, None),
    "several_labels": (SeveralLabels, False),
    "label_separator": (LabelSeparator, ";"),
}
_GROUPS: dict[str, tuple[Any, Any]] = {"group": (Group, None), "group_by": (GroupBy, None)}
_SPLIT: dict[str, tuple[Any, Any]] = {"split": (Split, None)}


def _made(given: dict[str, Any]) -> Any:
    with loading():
        from uncertainty.images.manifests import Columns, Grouping

    grouping = Grouping(given.get("group"), given.get("group_by"))
    how = {"separator": given["label_separator"], "several": given["several_labels"]}
    return Columns(given["name_column"], given["label_column"], given.get("split"), grouping, **how)


with_label_columns = with_options("columns", _LABELS, _made)
"""Gives a command `columns`: --name-column, --label-column, --several-labels, --label-separator."""
with_grouped_columns = with_options("columns", _LABELS | _GROUPS, _made)
"""The same with --group and --group-by."""
with_columns_of_a_part = with_options("columns", _LABELS | _GROUPS | _SPLIT, _made)
"""The same with --split, for tables of several parts such as train and test."""
