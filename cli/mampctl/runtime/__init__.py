"""Starting and ending a command, from entry point and environment to errors, signals and several processes."""
