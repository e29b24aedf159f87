"""What `mampctl doctor` looks at: each check is a function that returns findings and never raises."""
