"""Turns missing optional packages, and memory that is used up, into errors that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from mamp_schemas.errors import MampctlError, MissingExtraError

_EXTRAS = {
    "torch": "trainer",
    "safetensors": "trainer",
    "tensorboard": "trainer",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "numba": "pipeline",
    "h5py": "pipeline",
    "plotly": "report",
    "matplotlib": "report",
    "PIL": "report",
}


@contextmanager
def needed_extras() -> Iterator[None]:
    """Say which extra to install when an import inside fails because of it.

    Raises:
        MissingExtraError: a package of an extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as problem:
        extra = _EXTRAS.get((problem.name or "").partition(".")[0])
        if extra is None:
            raise
        raise MissingExtraError(
            f"this command needs the package {problem.name}, which is not installed",
            remedy=f"Install it with: pip install 'mampctl[{extra}]'",
        ) from None


@contextmanager
def needed_memory() -> Iterator[None]:
    """Say what takes less memory when an allocation inside fails.

    Raises:
        MampctlError: Python, NumPy or torch could not get the memory, on the host or on a GPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as problem:
        if not (isinstance(problem, MemoryError) or _is_torch_out_of_memory(problem)):
            raise
        text = str(problem).partition("\n")[0] or "no memory is left"
        raise MampctlError(
            f"out of memory: {text}",
            remedy="Use fewer --workers, a smaller micro_batch or batch_size (--set), or a machine with more memory.",
        ) from problem


def _is_torch_out_of_memory(problem: RuntimeError) -> bool:
    """Return whether this is torch's error, without importing torch: a class of its own on a GPU, a text on a CPU."""
    return type(problem).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(problem)
