"""Pre-training objectives, one file each, what is hidden, what is predicted, the loss."""
