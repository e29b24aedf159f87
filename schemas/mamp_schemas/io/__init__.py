"""Storage, the reader of stores and manifests, atomic writes and locks."""
