"""Memory that is used up is an error that says what to do; other errors stay what they are."""

import numpy as np
import pytest
import torch

from mamp_schemas.errors import MampctlError
from mampctl.runtime.errors import needed_memory


def test_needed_memory__of_numpy() -> None:
    with pytest.raises(MampctlError, match="out of memory: Unable to allocate"), needed_memory():
        np.empty((10**8, 10**8))


def test_needed_memory__of_torch() -> None:
    with pytest.raises(MampctlError, match=r"out of memory: .*can't allocate memory"), needed_memory():
        torch.empty((10**8, 10**8))


def test_needed_memory__leaves_other_errors() -> None:
    with pytest.raises(RuntimeError, match="another"), needed_memory():
        raise RuntimeError("another")
