"""What is to be seen of a run under way: files of metrics, times, memory, rates, and a profile."""
