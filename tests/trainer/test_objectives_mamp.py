"""The loss of pre-training: which bodies count, and that computing it never waits for the device."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mamp_trainer.data.collate import Batch, UniqueBodies
from mamp_trainer.data.rng import RngStream, uniform
from mamp_trainer.models.mamp import MAMP
from mamp_trainer.models.transformer import set_activation_checkpointing
from mamp_trainer.objectives.mamp import masked_error, prediction_target
from mamp_trainer.objectives.pretrain import make_objective
from mamp_trainer.training.microbatch import Microbatch
from mamp_trainer.training.optim import make_optimiser, parameter_groups
from tests.trainer.runs import make_batch, make_trainer, masked_loss, open_source, pretrain_recipe, write_toy_store

KEEP, SKIP = pretrain_recipe(), pretrain_recipe(empty_bodies="skip")
BATCH = make_batch([[True, False], [True, True], [True, False]])


def network() -> MAMP:
    torch.manual_seed(0)
    return MAMP(KEEP.model, KEEP.masking)


def outputs(model: MAMP) -> list[Any]:
    seen: list[Any] = []
    model.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    return seen


def test_loss__skip_hides_of_real_bodies_what_keep_hides() -> None:
    model = network()
    seen = outputs(model)
    for recipe in (KEEP, SKIP):
        masked_loss(model, recipe)(BATCH, 3)
    kept, skipped = (output.mask for output in seen)
    assert torch.equal(kept[BATCH.real.flatten()], skipped)
    assert len(skipped) == 4


@pytest.mark.parametrize("copies", [False, True])
def test_loss__skip_is_the_mean_over_real_bodies(copies: bool) -> None:
    batch, model = make_batch(BATCH.real.tolist(), copies=copies), network()
    tokens = KEEP.model.tokens
    u = uniform(0, 2, RngStream.MASK, batch.clip, 2 * tokens).view(-1, tokens)
    x, alone = batch.x.flatten(0, 1), []
    for at in batch.unique_bodies.bodies.tolist():
        pred, mask = model(x[[at]], u[[at]])
        alone.append(masked_error(pred, prediction_target(x[[at]], x[[at]], KEEP.model.segment, KEEP.target), mask))
    torch.testing.assert_close(masked_loss(model, SKIP)(batch, 2), torch.stack(alone).mean())


def test_loss__skip_of_full_clips_is_keep() -> None:
    batch, model = make_batch([[True, True]] * 2), network()
    assert torch.equal(masked_loss(model, SKIP)(batch, 0), masked_loss(model, KEEP)(batch, 0))


def test_loss__skip_takes_the_stored_motion_along() -> None:
    batch = replace(BATCH, trajectory=BATCH.x.clone())
    model = network()
    assert torch.equal(masked_loss(model, SKIP)(batch, 0), masked_loss(model, SKIP)(BATCH, 0))


def test_num_loss_terms__weigh_parts_of_a_batch_to_its_loss(tmp_path: Path) -> None:
    for recipe in (KEEP, SKIP):
        source, model = open_source(write_toy_store(tmp_path / recipe.empty_bodies), recipe), network()
        batches = source.train_batches(source.load("train"))
        whole, parts = batches.batch(0, 3), [batches.batch(0, 3, rank, 2) for rank in range(2)]
        terms = make_objective(recipe).num_loss_terms(source.tables["train"].bodies, source.slots)
        weights = torch.stack([terms[part.clip].sum() for part in parts]).float()
        losses = torch.stack([masked_loss(model, recipe)(part, 0) for part in parts])
        torch.testing.assert_close((weights * losses).sum() / weights.sum(), masked_loss(model, recipe)(whole, 0))


def test_num_loss_terms__are_the_sequences_of_a_batch(tmp_path: Path) -> None:
    source = open_source(write_toy_store(tmp_path), SKIP)
    batch = source.train_batches(source.load("train")).batch(0, 0)
    terms = make_objective(SKIP).num_loss_terms(source.tables["train"].bodies, source.slots)
    assert int(terms[batch.clip].sum()) == len(batch.unique_bodies.bodies) == int(batch.real.sum())


def elsewhere(tensor: Tensor) -> Tensor:
    return tensor.to("meta")


@pytest.mark.parametrize("recipe", [KEEP, SKIP, KEEP.replaced(recompute="always")])
def test_loss__needs_no_number_from_the_device(recipe: Any) -> None:
    """On the meta device there are no numbers to wait for: whatever asks for one fails."""
    slots = UniqueBodies(*map(elsewhere, BATCH.unique_bodies))
    batch = Batch(elsewhere(BATCH.x), None, *map(elsewhere, (BATCH.label, BATCH.clip, BATCH.real)), slots)
    model = network().to("meta")
    set_activation_checkpointing(model, recipe.recompute == "always")
    loss = masked_loss(model, recipe)(batch, 0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in model.parameters())


class Synchronisations(TorchDispatchMode):
    """Notes operations whose result the host has to wait for."""

    WAITING = (
        torch.ops.aten._local_scalar_dense.default,
        torch.ops.aten.equal.default,
        torch.ops.aten.nonzero.default,
        torch.ops.aten.masked_select.default,
    )

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.WAITING:
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("recipe", [KEEP, SKIP])
def test_train_step__does_not_wait_for_the_device(recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    trainer = make_trainer(
        masked_loss(model, recipe),
        make_optimiser(parameter_groups(model, recipe.optimiser.weight_decay), recipe.optimiser),
    )
    for name in ("tolist", "numpy", "cpu"):
        monkeypatch.setattr(Tensor, name, lambda *_: pytest.fail("a tensor was fetched"))
    with Synchronisations() as found:
        trainer.train_step([Microbatch(BATCH, 1.0)], 0, 0, 1e-3)
        assert found.seen == []
        bool(BATCH.real.all())
        assert found.seen == ["aten._local_scalar_dense.default"]
