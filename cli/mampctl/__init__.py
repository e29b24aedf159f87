"""The command line: commands, output, and the start and end of the process. Python calls the packages below it."""
