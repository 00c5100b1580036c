"""Outputs of a model that was run elsewhere, in a table: one row an image, in Parquet, CSV or NumPy's .npz."""
