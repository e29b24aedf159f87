"""Readers of the datasets, one folder or file each, and how raw files are found and read."""
