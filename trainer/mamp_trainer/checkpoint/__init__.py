"""Checkpoints: taken in a moment, written whole in the background, the last ones and the best kept, read back."""
