"""From folders to files, one file a verb; the command line, a service and a notebook call the same functions."""
