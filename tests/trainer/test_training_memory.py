import pytest
import torch

from mamp_schemas.errors import TrainingError
from mamp_schemas.models.objectives import MaskingSpec
from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.distributed.context import DistContext
from mamp_trainer.models.mamp import MAMP
from mamp_trainer.training.runtime import measure_budget, require_network_memory

CPU = torch.device("cpu")


def test_measure_budget__is_shared_by_the_processes_of_a_host() -> None:
    alone, shared = measure_budget(CPU), measure_budget(CPU, DistContext(local_world_size=1000))
    assert alone.device == alone.host > 2**20
    assert 0 < shared.host < alone.host / 10


def test_require_network_memory__says_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mamp_trainer.training.runtime.total_memory", lambda: 8 * 10**9)
    spec, cpu = ModelSpec(width=4096), torch.device("cpu")
    with pytest.raises(TrainingError, match=r"takes 2\d\.\d GB with gradients and moments, this machine has 8.0 GB"):
        require_network_memory(spec, cpu)
    require_network_memory(spec, cpu, trained=False)
    require_network_memory(ModelSpec(), cpu)


@pytest.mark.parametrize("spec", [ModelSpec(), ModelSpec(width=32, heads=4, decoder_width=64, segment=8)])
def test_parameters__are_about_those_of_the_network(spec: ModelSpec) -> None:
    network = MAMP(spec, MaskingSpec())
    assert spec.parameters == pytest.approx(sum(weights.numel() for weights in network.parameters()), rel=0.1)
