"""`python -m mampctl`."""

from mampctl.app import main

main()
