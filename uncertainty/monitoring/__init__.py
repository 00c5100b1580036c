"""Watching without labels: how accurate a batch is (`accuracy`), and whether it has left calibration (`drift`)."""
