import pytest
import torch

from mamp_schemas.models.recipe import ModelSpec, Precision
from mamp_trainer.models.mamp import MAMP
from mamp_trainer.models.precision import autocast
from mamp_trainer.models.transformer import set_activation_checkpointing
from mamp_trainer.objectives.pretrain import make_objective
from mamp_trainer.training.runtime import choose_activation_checkpointing
from tests.trainer.runs import make_batch, masked_loss, pretrain_recipe

SPEC = ModelSpec(frames=32, width=64, depth=4, heads=4, decoder_width=64, decoder_depth=2, decoder_heads=4)
CPU = torch.device("cpu")


def measured_bytes(model: MAMP, precision: Precision, sequences: int) -> int:
    """Count what a forward pass keeps for the backward pass, weights excepted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), autocast(precision, CPU):
        model(torch.randn(sequences, SPEC.frames, SPEC.joints, 3), torch.rand(sequences, SPEC.tokens))
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_activation_bytes__is_near_what_is_kept(precision: Precision) -> None:
    recipe = pretrain_recipe(model=SPEC, precision=precision)
    model = MAMP(SPEC, recipe.masking)
    estimate = 4 * make_objective(recipe).activation_bytes()
    assert 0.95 < measured_bytes(model, precision, 4) / estimate < 1.15


def test_choose_activation_checkpointing__where_memory_is_short() -> None:
    short, reason = choose_activation_checkpointing("auto", 10**9, 10**9)
    enough, _ = choose_activation_checkpointing("auto", 10**9, 2 * 10**9)
    assert (short, enough) == (True, False)
    assert "1.00 GB needed, 1.00 GB free" in reason


def test_choose_activation_checkpointing__an_objective_that_does_not_know_what_it_keeps_keeps_it() -> None:
    assert not choose_activation_checkpointing("auto", 0, 10)[0]


@pytest.mark.parametrize(("says", "expected"), [("always", True), ("never", False)])
def test_choose_activation_checkpointing__as_the_recipe_says(says: str, expected: bool) -> None:
    for free in (0, 10**12):
        assert choose_activation_checkpointing(says, 8, free)[0] == expected


def test_set_activation_checkpointing__loss_and_gradients_are_the_same_bit_for_bit() -> None:
    recipe, batch, found = pretrain_recipe(), make_batch([[True, True], [True, False]]), []
    torch.manual_seed(0)
    model = MAMP(recipe.model, recipe.masking)
    for recompute in (False, True):
        set_activation_checkpointing(model, recompute)
        loss = masked_loss(model, recipe)(batch, 0)
        found.append((loss, *torch.autograd.grad(loss, list(model.parameters()))))
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))
