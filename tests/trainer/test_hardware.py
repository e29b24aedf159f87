import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mamp_schemas.system import cpu_name, total_memory
from mamp_trainer.training.run_dir import describe_hardware
from mamp_trainer.training.runtime import limit_torch_threads


def test_describe_hardware__of_this_machine() -> None:
    found = describe_hardware(3)
    assert 1 <= found.cores <= found.cores_present
    assert found.memory_gb > 0.1
    assert found.ranks == 3
    assert os.uname().nodename not in found.model_dump_json()


def test_name_cpu__as_the_kernel_tells_it(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: A Fast One: 3\nflags\t: fpu\nmodel name\t: Other\n"
    )
    assert cpu_name(tmp_path) == "A Fast One: 3"


def test_name_cpu__its_architecture_where_no_model_is_told(tmp_path: Path) -> None:
    assert cpu_name(tmp_path) == os.uname().machine


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
def test_keep_to_share__no_more_threads_than_cores(cores: int, threads: int) -> None:
    limit_torch_threads(cores)
    assert torch.get_num_threads() == threads


@pytest.mark.usefixtures("two_threads")
def test_keep_to_share__what_the_user_says_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    limit_torch_threads(1)
    assert torch.get_num_threads() == 2


def test_total_memory__a_containers_limit(tmp_path: Path) -> None:
    installed = total_memory(tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    assert total_memory(tmp_path) == installed
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("0\n")
    (tmp_path / "memory.stat").write_text("inactive_file 0\n")
    assert total_memory(tmp_path) == 1_000_000
