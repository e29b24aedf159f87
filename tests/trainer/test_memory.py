from pathlib import Path

import pytest
import torch

from mamp_schemas.system import free_host_memory
from mamp_trainer.distributed.context import DistContext
from mamp_trainer.training.memory import measure_budget

CPU = torch.device("cpu")


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:  4000 kB\nMemAvailable:  3000 kB\n")
    return path


def limit(folder: Path, maximum: str, used: int = 0, cache: int = 0) -> Path:
    (folder / "memory.max").write_text(f"{maximum}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\n")
    return folder


def test_free_host_memory__is_what_the_system_has_available(tmp_path: Path, meminfo: Path) -> None:
    assert free_host_memory(meminfo, tmp_path) == 3000 * 1024
    assert free_host_memory(meminfo, limit(tmp_path, "max")) == 3000 * 1024


def test_free_host_memory__a_containers_limit_counts_without_its_cache(tmp_path: Path, meminfo: Path) -> None:
    assert free_host_memory(meminfo, limit(tmp_path, "1000000", used=700_000, cache=200_000)) == 500_000
    assert free_host_memory(meminfo, limit(tmp_path, "1000000", used=1_300_000, cache=200_000)) == 0


def test_free_host_memory__without_an_account_half_of_the_machines(tmp_path: Path) -> None:
    assert free_host_memory(tmp_path / "none", tmp_path) > 2**20


def test_measure_budget__is_shared_by_the_processes_of_a_host() -> None:
    alone, shared = measure_budget(CPU), measure_budget(CPU, DistContext(local_world_size=1000))
    assert alone.device == alone.host > 2**20
    assert 0 < shared.host < alone.host / 10
