"""The name of the file of features, for those that read it and run no network."""

FEATURES_FILE = "features.parquet"
