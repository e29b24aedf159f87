"""What a run's network has learned: class confusions, features and masked predictions, kept in `analysis.json`."""
