"""What to label next: the images that are likely wrong, each of them unlike the others."""
