"""`python -m mampctl`."""

from mampctl.runtime.main import main

main()
