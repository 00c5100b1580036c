"""How each kind of model spec becomes a classifier: one file a format, called as its prefix is."""
