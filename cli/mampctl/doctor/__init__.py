"""The checks of `mampctl doctor`. Each is a function that returns findings and never raises."""
