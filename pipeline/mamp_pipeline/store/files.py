"""Files written whole: under its final name a file is complete or not there."""

import os
import uuid

from mamp_pipeline.places import bucket
from mamp_schemas.places import ObjectUrl, StoragePath


def write_atomic(path: StoragePath, *chunks: bytes | memoryview, durable: bool = False) -> int:
    """Write a file in one step: beside its place first, then renamed; an object in a bucket is written so anyway.

    The name beside is nobody else's: two processes, on two machines even, may write the same file at once.

    Args:
        path: its final name.
        data: what it holds, one after the other.
        durable: wait until it is on disk. Not worth the time for what is checked when it is read.

    Returns:
        Its bytes.
    """
    if isinstance(path, ObjectUrl):
        whole = b"".join(chunks)
        bucket.write_object(path, whole)
        return len(whole)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("wb") as file:
            file.writelines(chunks)
            size = file.tell()
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        return size
    finally:
        temporary.unlink(missing_ok=True)
