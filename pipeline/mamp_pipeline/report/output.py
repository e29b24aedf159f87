"""Writing what a report consists of: whole files, in folders made where they are missing."""

from pathlib import Path

from mamp_pipeline.store.files import write_atomic
from mamp_schemas.output import output_errors


def write_output(out: Path, data: bytes) -> int:
    """Write a page or a picture in one step, replacing what was there; return its bytes.

    Raises:
        OutputError: it cannot be written.
    """
    with output_errors(out, len(data)):
        out.parent.mkdir(parents=True, exist_ok=True)
        return write_atomic(out, data)
