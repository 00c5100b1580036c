"""Where an export can go, by its name on the command line; nothing is imported, so `--help` stays quick."""

TABLES = {"csv": ".csv", "parquet": ".parquet"}
"""Targets that are one file, with its ending."""
FOLDERS = {
    "label-studio": "label_studio",
    "cvat": "cvat",
    "cvat-folders": "cvat_folders",
    "fiftyone": "fiftyone",
    "hf": "hugging_face",
}
"""Targets that are a folder, with the module of this room whose `write(ranking, folder, *, images, how)` fills it."""
TARGETS = (*TABLES, *FOLDERS)
