"""Finished and unfinished runs, read from their folders and compared; never imports torch."""
