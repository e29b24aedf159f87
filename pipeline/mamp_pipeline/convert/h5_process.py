"""Reads HDF5 files in a process of its own: on damaged bytes the HDF5 library can crash, or never come back.

The process answers requests, one JSON line each, on its standard input: of a block of rows, or of the list of arrays.
An answer is the length of a header, the header as JSON, and the bytes of the block.
"""

import json
import math
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import h5py
import numpy as np
from numpy.typing import NDArray

from mamp_schemas.errors import RawInputError, printable
from mamp_schemas.io.regular_files import open_regular

ANSWER_SECONDS = 120.0
"""How long to wait for a block. The largest takes 46 MB."""

_MEMORY_BYTES = 8 * 2**30
"""Address space that the process may take besides what Python and HDF5 have at the start: HDF5 reads whole chunks."""

MAX_CHUNK_BYTES = 2**28
"""The largest chunk that is read: 256 MiB. h5py chooses less than one."""

_LENGTH = struct.Struct("<Q")
_START = "from mamp_pipeline.convert.h5_process import serve; serve()"


class H5Process:
    """A process that reads the arrays of one HDF5 file. It ends with this object.

    Args:
        path: the file.
        keys: the names of the arrays that may be read.

    Raises:
        RawInputError: the file or one of the arrays cannot be read; the library crashed or hung on it.
    """

    def __init__(self, path: Path, keys: Collection[str]) -> None:
        self._path = path
        self._process = subprocess.Popen(  # noqa: S603 - our own code, by this interpreter
            [sys.executable, "-c", _START, path, *keys],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        weakref.finalize(self, _end, self._process)
        # Popen's type does not say that pipes were asked for.
        self._requests, self._answers = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        self._asked = False
        self._send({"list": True})
        listing = self._receive()[0]
        self.left: list[str] = listing["left"]
        self.arrays: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {
            key: (tuple(shape), np.dtype(dtype)) for key, (shape, dtype) in listing["arrays"].items()
        }

    def read_blocks(self, key: str, rows: int) -> Iterator[NDArray[Any]]:
        """Yield an array in blocks of rows; the last one may be shorter.

        Raises:
            RawInputError: they cannot be read.
        """
        shape, dtype = self.arrays[key]
        bounds = [(start, min(start + rows, shape[0])) for start in range(0, shape[0], rows)]
        for number, (start, stop) in enumerate(bounds):
            if number == 0:
                self._send({"key": key, "start": start, "stop": stop})
            data = self._receive()[1]
            if number + 1 < len(bounds):  # read while this block is used
                self._send({"key": key, "start": stop, "stop": bounds[number + 1][1]})
            yield np.ndarray((stop - start, *shape[1:]), dtype, data)

    def _send(self, request: dict[str, Any]) -> None:
        if self._asked:  # an array was not read to its end
            self._receive()
        self._asked = True
        with suppress(BrokenPipeError):  # _receive says how the process ended
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        """Return the header and the bytes of the answer to what was sent last."""
        self._asked = False
        try:
            if not select.select([self._answers], [], [], ANSWER_SECONDS)[0]:
                self._process.kill()
                raise self._error(f"HDF5 gave no answer in {ANSWER_SECONDS:.0f} s")
            length = _LENGTH.unpack(_read_exactly(self._answers, _LENGTH.size))[0]
            header = json.loads(_read_exactly(self._answers, length))
            data = _read_exactly(self._answers, header.get("bytes", 0))
        except EOFError:
            code = self._process.wait()
            how = signal.Signals(-code).name if code < 0 else f"code {code}"
            raise self._error(f"HDF5 crashed on it ({how})") from None
        if "error" in header:
            raise RawInputError(header["error"], remedy=header["remedy"])
        return header, data

    def _error(self, reason: str) -> RawInputError:
        return RawInputError(
            f"{self._path}: not a readable HDF5 file: {reason}", remedy="Make or fetch the file again."
        )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.communicate()


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def serve() -> None:
    """Answer the requests of an `H5Process`, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks ends this process
    statm = Path("/proc/self/statm")
    if statm.exists():
        limit = int(statm.read_text().split()[0]) * resource.getpagesize() + _MEMORY_BYTES
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    path, keys = Path(sys.argv[1]), sys.argv[2:]
    try:
        with open_regular(path) as opened, h5py.File(opened, "r") as file:
            datasets = {key: _find_dataset(path, file, key) for key in keys if file.get(key, getlink=True)}
            for line in sys.stdin.buffer:
                _answer(*_answer_to(file, datasets, json.loads(line)))
    except BrokenPipeError:
        pass
    except RawInputError as problem:
        _answer({"error": problem.message, "remedy": problem.remedy})
    except Exception as problem:  # noqa: BLE001 - whatever HDF5 and h5py raise
        reason = getattr(problem, "strerror", None) or problem
        text = f"{path}: not a readable HDF5 file: {reason}"
        _answer({"error": text, "remedy": "Make or fetch the file again."})
    os._exit(0)


def _answer(header: dict[str, Any], data: bytes | memoryview = b"") -> None:
    text = json.dumps({**header, "bytes": memoryview(data).nbytes}).encode()
    sys.stdout.buffer.write(_LENGTH.pack(len(text)) + text)
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _answer_to(
    file: h5py.File, datasets: Mapping[str, h5py.Dataset], request: dict[str, Any]
) -> tuple[dict[str, Any], bytes | memoryview]:
    if "list" not in request:
        rows = datasets[request["key"]][request["start"] : request["stop"]]
        return {}, np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
    arrays = {key: (dataset.shape, dataset.dtype.str) for key, dataset in datasets.items()}
    return {"arrays": arrays, "left": [key for key in file if key not in datasets]}, b""


def _find_dataset(path: Path, file: h5py.File, key: str) -> h5py.Dataset:
    """Return a dataset whose bytes are all in the file: HDF5 would follow a link or a list of files to any other.

    Raises:
        RawInputError: it is a link, or is or refers to something else, or parts of it were never written, which HDF5
            reads as zeros.
    """
    link = file.get(key, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise _foreign_error(path, f"'{key}' is a link to {_link_target(link)}")
    if file.get(key, getclass=True) is not h5py.Dataset:
        raise RawInputError(f"{path}: '{key}' is not a dataset", remedy="Make the file again.")
    dataset = file[key]
    settings = dataset.id.get_create_plist()
    # Before the shape, for which HDF5 opens the files of a virtual dataset.
    if settings.get_layout() == h5py.h5d.VIRTUAL:
        raise _foreign_error(path, f"'{key}' is a virtual dataset, made of datasets of other files")
    if settings.get_external_count():
        name = os.fsdecode(settings.get_external(0)[0])
        raise _foreign_error(path, f"the numbers of '{key}' are in another file, {name!r}")
    if dataset.shape is None:
        raise RawInputError(f"{path}: '{key}' has no shape and no numbers", remedy="Make the file again.")
    _check_chunks(path, key, dataset, settings)
    if unwritten := _unwritten(dataset):
        raise RawInputError(
            f"{path}: {unwritten} of '{key}' were never written: HDF5 would read them as zeros",
            remedy="Write the file again, to its end.",
        )
    return dataset


def _link_target(link: Any) -> str:
    target = getattr(link, "path", "something that HDF5 does not know")
    return f"{target!r} in the file {link.filename!r}" if isinstance(link, h5py.ExternalLink) else f"{target!r}"


def _foreign_error(path: Path, what: str) -> RawInputError:
    return RawInputError(
        f"{path}: {what}: only datasets that are in the file itself are read",
        remedy="Copy the numbers into one file under these names: h5py reads them, and create_dataset writes them.",
    )


def _check_chunks(path: Path, key: str, dataset: h5py.Dataset, settings: Any) -> None:
    """Refuse chunks that would fill the memory, of which HDF5 reads a whole one for any row, and unknown packing."""
    size = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    if size > MAX_CHUNK_BYTES:
        raise RawInputError(
            f"{path}: a chunk of '{key}' has {size:,} bytes, at most {MAX_CHUNK_BYTES:,} are read at a time",
            remedy="Write it again in smaller chunks: with chunks=True h5py chooses them.",
        )
    for number in range(settings.get_nfilters()):
        code, _, _, name = settings.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            shown = printable(name.decode("ascii", "backslashreplace")[:40])
            raise RawInputError(
                f"{path}: '{key}' is packed by the filter {code} {shown}".rstrip() + ", which HDF5 does not have here",
                remedy="Write it again with compression='gzip'.",
            )


def _unwritten(dataset: h5py.Dataset) -> str:
    """Return how much of a dataset is missing from the file, empty if nothing is."""
    if not dataset.size:
        return ""
    if dataset.chunks is None:
        missing = int(dataset.nbytes - dataset.id.get_storage_size())
        return f"{missing:,} of {dataset.nbytes:,} bytes" if missing > 0 else ""
    total = math.prod(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    missing = total - dataset.id.get_num_chunks()
    return f"{missing:,} of {total:,} chunks" if missing > 0 else ""
