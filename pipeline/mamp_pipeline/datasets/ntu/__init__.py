"""NTU RGB+D 60 and 120, their names, their format and its parsers."""
