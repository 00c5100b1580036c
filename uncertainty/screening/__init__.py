"""Many images: parts of the verdict table, the journal that outlives a crash, the second pass, and Ray."""
