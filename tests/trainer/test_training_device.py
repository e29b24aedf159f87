import os
from collections.abc import Iterator

import pytest
import torch

from mamp_schemas.system import THREADS, ThreadChoice, choose_threads
from mamp_trainer.training.run_dir import describe_hardware
from mamp_trainer.training.runtime import describe_device, resume_torch_threads, set_torch_threads


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
@pytest.mark.parametrize(("free", "threads"), [(1, 1), (2, 2), (64, 2)])
def test_set_torch_threads__no_more_threads_than_free_cores(free: int, threads: int) -> None:
    set_torch_threads(ThreadChoice(free, ""))
    assert torch.get_num_threads() == threads


@pytest.mark.usefixtures("two_threads")
def test_set_torch_threads__as_many_as_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, "3")
    set_torch_threads(choose_threads())
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("two_threads")
def test_resume_torch_threads__takes_those_of_before_unless_the_user_says_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    resume_torch_threads(1)
    assert torch.get_num_threads() == 1
    resume_torch_threads(0)
    assert torch.get_num_threads() == 1
    monkeypatch.setenv(THREADS, "2")
    set_torch_threads(choose_threads())
    resume_torch_threads(1)
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_set_torch_threads__keeps_omp_num_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    set_torch_threads(choose_threads())
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("threads", "text"), [(1, "1 thread"), (2, "2 threads")])
@pytest.mark.usefixtures("two_threads")
def test_describe_device__counts_the_threads(threads: int, text: str) -> None:
    torch.set_num_threads(threads)
    assert describe_device(torch.device("cpu")).endswith(f", {text}")
