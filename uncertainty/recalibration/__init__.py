"""Labels come back: what a screener learns from images that it has screened."""
