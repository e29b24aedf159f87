"""The datasets, one room or file each, and how their raw files are found and read."""
