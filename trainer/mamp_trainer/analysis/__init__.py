"""What a run has learned, computed from its checkpoint and its store for reports."""
