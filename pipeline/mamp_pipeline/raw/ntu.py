"""NTU RGB+D skeleton text: the name and the content of one file (reference.md §1)."""

import re
from collections.abc import Callable
from functools import cache

from mamp_pipeline.raw import ntu_numpy
from mamp_pipeline.raw.bodies import ClipInfo, RawBodies
from mamp_pipeline.raw.ntu_lines import parse_ntu_lines

Parser = Callable[[bytes], RawBodies | None]

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})\.skeleton", re.ASCII)


def parse_ntu_name(file_name: str) -> ClipInfo | None:
    """Return what a name `SsssCcccPpppRrrrAaaa.skeleton` says; None where it is not of that form."""
    match = _NAME.fullmatch(file_name)
    if match is None:
        return None
    setup, camera, subject, replication, action = map(int, match.groups())
    return ClipInfo(file_name.removesuffix(".skeleton"), action - 1, subject, camera, setup, replication)


def parse_ntu(data: bytes) -> RawBodies:
    """Read a file's bodies.

    Every coordinate equals `np.float32(float(text))`. Only counts, body ids and the x y z of each joint are read
    as numbers; of the other fields only the count is checked.

    Args:
        data: the file.

    Raises:
        RawFileError: the file is malformed; names the line, what was got and what was expected.
    """
    bodies = choose_parser()(data)
    return parse_ntu_lines(data) if bodies is None else bodies


@cache
def choose_parser() -> Parser:
    """Return the compiled reader, or NumPy's where numba is not installed; both give the same bodies."""
    try:
        from mamp_pipeline.raw import ntu_kernel
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] not in ("numba", "llvmlite"):
            raise
        return ntu_numpy.parse_ntu_numpy
    return ntu_kernel.parse_ntu_compiled


def warm_up_parser() -> None:
    """Load the reader that `parse_ntu` uses, which else the first file waits for: 0.3 s; compiling it anew, 2.5 s."""
    odd = b"1e0 " * 3 + b"0 " * 9 + b"\n"
    parse_ntu(b"1\n1\n" + b"0 " * 10 + b"\n25\n" + 25 * odd)
