"""From a path or URL to pixels, and what can be seen in an image without a classifier."""
