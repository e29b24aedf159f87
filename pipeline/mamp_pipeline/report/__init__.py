"""What a researcher looks at before training: the report of a store, and single clips."""
