"""The trainer: from a store and a split manifest to trained weights, metrics and predictions."""
