"""Set-up shared by the trainer's tests."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny tensors gain nothing from threads, and lose much where several test processes share the cores."""
    torch.set_num_threads(1)
