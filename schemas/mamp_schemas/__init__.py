"""The contract between pipeline and trainer, and the one way to open what it describes."""
