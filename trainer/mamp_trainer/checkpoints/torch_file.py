"""Read the files of `torch.save` without running them: tensors and plain data, within the bounds of the file's size.

`torch.load(weights_only=True)` runs nothing either. But it hashes what the file nests, takes the memory that the file
asks for, and gives up at every name it does not know, also where the weights beside it are good.
"""

import argparse
import io
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pickle import UnpicklingError
from typing import Any, NamedTuple, Self, TypeGuard

import torch
from torch import Tensor

from mamp_schemas.io.pickle_machine import PARSE_ERRORS, Ignored, NamedConstructor, PickleMachine, Stateful
from mamp_schemas.io.safe_pickle import ALLOWED_CONSTRUCTORS, MAX_DIMENSIONS

TORCH_FILE_ERRORS = (*PARSE_ERRORS, OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
"""Errors of files that are truncated, altered or not of `torch.save`, besides the refusals of `UnpicklingError`."""

_MAGIC = 0x1950A86A20F9469CFC6C
"""Opens the format that torch wrote before version 1.6."""

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}

_SETTINGS = frozenset({
    "addict", "box", "collections", "datetime", "decimal", "easydict", "enum", "fractions", "lightning",
    "lightning_fabric", "ml_collections", "mmcv", "mmengine", "munch", "numpy", "omegaconf", "pathlib",
    "pytorch_lightning", "types", "typing", "uuid", "yacs",
})  # fmt: skip
"""Packages of values and settings that are often saved beside weights. They are not read."""


def read_torch_file(content: bytes) -> object:
    """Return what was saved: tensors on the CPU and plain data. Settings of other classes come as `Ignored`.

    Args:
        content: of the file, in the present format (a zip archive) or in that before torch 1.6.

    Raises:
        UnpicklingError: it asks for something that is not read; nothing of it has been executed.
        Exception: one of `TORCH_FILE_ERRORS`; it is damaged.
    """
    if content.startswith(b"PK"):
        return _read_archive(content)
    return _read_stream(content)


class _OrderedDict(dict[Any, Any], Stateful):
    """An ordered dictionary. Its state is metadata of torch, which is not read."""

    def set_state(self, state: object) -> None:
        """Drop the state."""


def _make_default_dict(*_: object) -> _OrderedDict:
    return _OrderedDict()


def _make_ordered_dict(*items: object) -> _OrderedDict:
    if items:
        raise UnpicklingError("an ordered dictionary that is made of something else than its items")
    return _OrderedDict()


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0


def _are_counts(value: object) -> TypeGuard[tuple[int, ...]]:
    return isinstance(value, tuple) and len(value) <= MAX_DIMENSIONS and all(map(_is_count, value))


def _rebuild_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    if not (isinstance(storage, Tensor) and _is_count(offset) and _are_counts(size) and _are_counts(stride)):
        raise UnpicklingError("a tensor that is not given by storage, offset, size and stride")
    # Not more elements than the storage has: an expanded tensor would take memory that the file does not have.
    if math.prod(size) > storage.numel():
        raise UnpicklingError(f"a tensor of {len(size)} axes that has more elements than its storage")
    return torch.as_strided(storage, size, stride, offset)


def _rebuild_parameter(tensor: object, *_: object) -> object:
    return tensor


def _make_size(sizes: object = ()) -> object:
    return sizes


_CONSTRUCTORS: Mapping[tuple[str, str], Callable[..., object]] = {
    **ALLOWED_CONSTRUCTORS,
    ("collections", "OrderedDict"): _make_ordered_dict,
    ("collections", "defaultdict"): _make_default_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("torch.nn.parameter", "Parameter"): _rebuild_parameter,
    ("torch", "Size"): _make_size,
    ("torch", "device"): Ignored,
    **{
        (module, kind.__name__): Ignored
        for module in ("builtins", "__builtin__")
        for kind in (int, float, complex, bool, str, list, dict, tuple, object)
    },
    **{("torch", str(dtype).removeprefix("torch.")): Ignored for dtype in _STORAGES.values()},
    (argparse.__name__, "Namespace"): Ignored,
}


def _find(name: tuple[str, str]) -> Callable[..., object] | None:
    found = _CONSTRUCTORS.get(name) or _STORAGE_TYPES.get(name)
    if found is None and (name[0].partition(".")[0] in _SETTINGS or name[0].startswith("torch.optim.")):
        return Ignored
    return found


class _StorageType:
    """Stands for the class of a storage. It is named in persistent ids and never called."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __call__(self, *_: object) -> object:
        raise UnpicklingError("it makes a storage of its own")


_STORAGE_TYPES = {("torch", name): _StorageType(dtype) for name, dtype in _STORAGES.items()}
_STORAGE_TYPES["torch.storage", "UntypedStorage"] = _StorageType(torch.uint8)


class _StorageId(NamedTuple):
    """What a persistent id names: a storage by its key, and its size."""

    dtype: torch.dtype
    key: str
    elements: int

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a persistent id: "storage", type, key, location, elements and, before torch 1.6, a view.

        Raises:
            UnpicklingError: it is something else.
        """
        match value:
            case ("storage", NamedConstructor(make=_StorageType(dtype=dtype)), str(key), _, int(elements), *_):
                return cls(dtype, key, elements)
        raise UnpicklingError("a persistent id that names no storage of tensors")

    @property
    def nbytes(self) -> int:
        """Bytes of the storage."""
        return self.elements * self.dtype.itemsize


def _as_storage(data: bytes, storage: _StorageId) -> Tensor:
    """Return a storage's elements as a tensor of one axis."""
    if len(data) != storage.nbytes:
        raise EOFError(f"storage {storage.key[:40]} has {len(data)} bytes, its tensors say {storage.nbytes}")
    return torch.frombuffer(bytearray(data), dtype=storage.dtype) if data else torch.empty(0, dtype=storage.dtype)


def _read_archive(content: bytes) -> object:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # torch stores without compression, so that what it holds is bounded by what the file has.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise UnpicklingError("its archive is compressed, which torch.save never does")
        if sum(entry.file_size for entry in archive.infolist()) > len(content):
            raise UnpicklingError("its archive claims more bytes than the file has")
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("an archive without 'data.pkl'")
        root = names[0].removesuffix("data.pkl")
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
            raise UnpicklingError("its numbers are stored in big-endian order")
        storages: dict[str, Tensor] = {}

        def load(persistent: object) -> Tensor:
            storage = _StorageId.parse(persistent)
            if storage.key not in storages:
                storages[storage.key] = _as_storage(archive.read(f"{root}data/{storage.key}"), storage)
            return _of_dtype(storages[storage.key], storage)

        return PickleMachine(len(content), _find, load).run(io.BytesIO(archive.read(names[0])))


def _read_stream(content: bytes) -> object:
    """Read the format before torch 1.6: pickles of magic number, version, system, data and keys, then the storages."""
    file, storages = io.BytesIO(content), dict[str, Tensor]()
    left = len(content)

    def load(persistent: object) -> Tensor:
        nonlocal left
        storage = _StorageId.parse(persistent)
        if storage.key not in storages:
            left -= storage.nbytes
            if left < 0:
                raise UnpicklingError("its tensors say that they have more bytes than the file")
            storages[storage.key] = torch.empty(storage.elements, dtype=storage.dtype)
        return _of_dtype(storages[storage.key], storage)

    def next_pickle() -> object:
        return PickleMachine(len(content), _find, load).run(file)

    if next_pickle() != _MAGIC:
        raise ValueError("not a file of torch.save")
    next_pickle(), next_pickle()
    saved, keys = next_pickle(), next_pickle()
    if not isinstance(keys, list) or set(map(type, keys)) > {str} or sorted(keys) != sorted(storages):
        raise ValueError("its list of storages is not that of its tensors")
    for key in keys:
        storage = storages[key]
        elements = int.from_bytes(file.read(8), "little")
        data = file.read(storage.nbytes)
        storage.copy_(_as_storage(data, _StorageId(storage.dtype, key, elements)))
    return saved


def _of_dtype(storage: Tensor, expected: _StorageId) -> Tensor:
    if storage.dtype != expected.dtype or len(storage) != expected.elements:
        raise UnpicklingError(f"storage {expected.key[:40]} is named with two types or sizes")
    return storage
