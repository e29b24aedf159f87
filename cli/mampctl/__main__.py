"""`python -m mampctl`."""

from mampctl.entry import main

main()
