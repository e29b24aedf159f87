"""Files written whole: under its final name a file is complete or not there."""

import os
import uuid
from pathlib import Path


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file in one step: beside its place first, on disk, then renamed.

    The name beside is nobody else's: two processes, on two machines even, may write the same file at once.
    """
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
