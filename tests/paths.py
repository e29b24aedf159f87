"""Where tests find golden files and, when it is there, the real data that is not part of the repository."""

from pathlib import Path

TESTS = Path(__file__).parent
GOLDEN = TESTS / "golden"
SHARED_DATA = TESTS.parent.parent / "shared" / "data"
