"""The desk's pages, a module per job; shell.py is what they share."""
