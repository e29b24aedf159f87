"""Evaluation protocols, one file each, and what they share: `base` is the interface, `classification` the training."""
