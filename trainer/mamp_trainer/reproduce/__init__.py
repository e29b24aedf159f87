"""Reproducing the paper's tables: planning the runs, running what is missing, and writing what they came to."""
