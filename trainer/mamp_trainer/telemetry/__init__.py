"""Measurements of a running training: times, rates, memory, metrics, a profile."""
