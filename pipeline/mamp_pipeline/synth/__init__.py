"""Synthetic raw files with movement a classifier can tell apart and the faults of real files."""
