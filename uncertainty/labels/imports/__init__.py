"""Labels as people and their tools write them: tables, class folders, Label Studio and CVAT."""

from uncertainty.labels.imports.formats import read_annotations

__all__ = ["read_annotations"]
