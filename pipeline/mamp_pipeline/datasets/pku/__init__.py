"""PKU-MMD I and II, their names, videos, labels and split lists."""
