"""One file a command of the command line; `cli.py` puts them together."""
