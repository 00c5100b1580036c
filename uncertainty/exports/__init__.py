"""Rankings and verdicts in the forms that labelling tools and data set libraries open with one import."""
