"""The processes of one run: how they are started, connected and ended, and their collective operations."""
