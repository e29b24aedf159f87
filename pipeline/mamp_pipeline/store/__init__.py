"""The store: its plan, the only writer of it, and reading it back."""
