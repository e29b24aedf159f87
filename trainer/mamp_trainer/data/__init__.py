"""From a finished store to augmented batches."""
