"""Turns missing optional packages into errors that say what to install."""

from collections.abc import Iterator
from contextlib import contextmanager

from mamp_schemas.errors import MissingExtraError

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
