"""Writing and verifying stores."""
