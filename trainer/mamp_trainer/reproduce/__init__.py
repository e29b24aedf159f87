"""The paper's tables, planned, run as far as missing, and written."""
