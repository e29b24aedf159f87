"""From a finished store to augmented batches: order, draws, residency and augmentation."""
