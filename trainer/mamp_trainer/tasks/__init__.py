"""What a run can be for: each task takes a recipe and a store, and leaves a run folder and a result."""
