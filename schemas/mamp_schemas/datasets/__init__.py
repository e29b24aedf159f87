"""The specifications of the in-tree datasets, one file a family. Light: both halves read them."""
