"""HTML reports of stores and runs, and views of single clips."""
