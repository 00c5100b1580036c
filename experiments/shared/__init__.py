"""What several rooms need: images, splits, fitted screeners, the command line, and how results are written."""
