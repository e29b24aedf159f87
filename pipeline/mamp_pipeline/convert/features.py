"""HDF5 of clips' features: a dataset for each column, and what they were made by as attributes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mamp_pipeline.convert.files import atomic_file


def write_features(out: Path, columns: Mapping[str, Any], attributes: Mapping[str, str]) -> None:
    """Write a file whole.

    Args:
        out: the file.
        columns: arrays or lists of texts, one entry a clip.
        facts: texts.

    Raises:
        OutputError: `out` is there already or cannot be written.
    """
    with atomic_file(out) as temporary, h5py.File(temporary, "w") as file:
        for name, column in columns.items():
            file[name] = column if isinstance(column, np.ndarray) else np.array(column, dtype=h5py.string_dtype())
        file.attrs.update(attributes)
