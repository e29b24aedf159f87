import torch

from mamp_trainer.distributed.context import DistContext
from mamp_trainer.training.runtime import measure_budget

CPU = torch.device("cpu")


def test_measure_budget__is_shared_by_the_processes_of_a_host() -> None:
    alone, shared = measure_budget(CPU), measure_budget(CPU, DistContext(local_world_size=1000))
    assert alone.device == alone.host > 2**20
    assert 0 < shared.host < alone.host / 10
