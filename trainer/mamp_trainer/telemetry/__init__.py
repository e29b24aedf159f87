"""What can be measured of a running training, times, rates, memory, metrics, a profile."""
