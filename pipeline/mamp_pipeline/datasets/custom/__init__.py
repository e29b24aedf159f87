"""Own recordings that a layout describes, in CSV, JSON or npy files."""
