"""Checkpoints: writing them whole in the background, keeping, loading, and tracing them to their training."""
