"""Files made by an export: written beside their place, then put there in one step."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mamp_schemas.errors import OutputError
from mamp_schemas.output import output_errors


@contextmanager
def atomic_file(out: Path) -> Iterator[Path]:
    """Yield a temporary path; what is written there becomes `out` when the block ends without an error.

    Raises:
        OutputError: `out` is there already or cannot be written.
    """
    if out.exists():
        raise OutputError(f"{out}: is there already", remedy="Remove it or name another --out.")
    temporary = out.with_name(f"{out.name}.{os.getpid()}.part")
    with output_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)
