"""How well errors are found, by p_wrong, by single estimators, and by what else could be combined."""
