"""Pre-training objectives, one file each: what is masked, what is predicted, the loss."""
