"""How results look in a notebook: one line, a small table, a plot."""
