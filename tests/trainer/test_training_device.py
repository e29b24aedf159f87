import os
from collections.abc import Iterator

import pytest
import torch

from mamp_trainer.training.run_dir import describe_hardware
from mamp_trainer.training.runtime import limit_torch_threads


def test_describe_hardware__of_this_machine() -> None:
    found = describe_hardware(3)
    assert 1 <= found.cores <= found.cores_present
    assert found.memory_gb > 0.1
    assert found.ranks == 3
    assert os.uname().nodename not in found.model_dump_json()


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A torch that computes by two threads because nothing was said."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (64, 2)])
def test_limit_torch_threads__no_more_threads_than_cores(cores: int, threads: int) -> None:
    limit_torch_threads(cores)
    assert torch.get_num_threads() == threads


@pytest.mark.usefixtures("two_threads")
def test_limit_torch_threads__keeps_omp_num_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    limit_torch_threads(1)
    assert torch.get_num_threads() == 2
