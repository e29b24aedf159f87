"""Where the command begins: interrupted before there is anything to stop, it ends without a word."""

import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Import and run the command line."""
    try:
        from mampctl.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
