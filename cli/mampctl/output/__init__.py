"""Everything users read, that is results, tables, progress, hints and the log."""
