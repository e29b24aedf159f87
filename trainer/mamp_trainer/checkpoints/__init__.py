"""Checkpoints, written whole in the background, kept, loaded, and traced to their training."""
