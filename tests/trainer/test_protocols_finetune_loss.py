import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mamp_trainer.data.collate import Batch, find_unique_bodies
from mamp_trainer.data.rng import Draws
from mamp_trainer.models.clip_encoder import Classifier
from mamp_trainer.protocols.classification import loss_function
from mamp_trainer.protocols.finetune import FINETUNE, draw_drop_masks
from mamp_trainer.protocols.networks import make_classifier
from mamp_trainer.training.microbatch import Microbatch
from mamp_trainer.training.optim import LR_SCALE, make_optimiser
from tests.trainer.runs import CLASSES, finetune_recipe, make_trainer
from tests.trainer.test_checkpoints_weights import save_mamp

RECIPE = finetune_recipe()


def make_batch(clip: Tensor | None = None) -> Batch:
    """Return six clips of two bodies; what a clip looks like depends on its number alone."""
    clip = torch.arange(6) if clip is None else clip
    poses = [torch.randn(2, 16, 25, 3, generator=torch.Generator().manual_seed(int(number))) for number in clip]
    real = torch.ones(len(clip), 2, dtype=torch.bool)
    return Batch(
        torch.stack(poses), None, clip % CLASSES, clip, real, find_unique_bodies(real, empty_slots_are_copies=False)
    )


def frozen_norm(model: Classifier) -> Classifier:
    """Let batch normalisation take each clip by itself."""
    model.head.bn = torch.nn.Identity()
    return model


def optimiser_of(model: Classifier) -> torch.optim.Optimizer:
    return make_optimiser(FINETUNE.optimiser_groups(model, RECIPE), RECIPE.optimiser)


def test_finetune_loss__is_cross_entropy_with_a_share_for_all_classes_alike() -> None:
    recipe = finetune_recipe(dropout=0.0, drop_path=0.0, label_smoothing=0.1)
    model, batch = frozen_norm(make_classifier(recipe, CLASSES, None)), make_batch()

    with torch.no_grad():
        loss = loss_function(model, recipe, FINETUNE)(batch, 0).total

    expected = 0.0
    for logits, label in zip(model(batch.x).tolist(), batch.label.tolist(), strict=True):
        total = math.log(sum(math.exp(value) for value in logits))
        expected += sum((0.9 * (k == label) + 0.1 / CLASSES) * (total - value) for k, value in enumerate(logits)) / 6
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_finetune_loss__drops_by_epoch_and_never_otherwise() -> None:
    loss = loss_function(frozen_norm(make_classifier(RECIPE, CLASSES, None)), RECIPE, FINETUNE)
    with torch.no_grad():
        first, again, other = (loss(make_batch(), epoch).total for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_finetune_loss__drops_branches_of_the_encoder_and_features_of_the_head() -> None:
    model, batch = frozen_norm(make_classifier(RECIPE, CLASSES, None)), make_batch()
    masks = draw_drop_masks(RECIPE, Draws(RECIPE.seed, 2, batch.clip), slots=2)
    with torch.no_grad():
        loss = loss_function(model, RECIPE, FINETUNE)(batch, 2).total
        logits = model.head(model.encode(batch.x, drop_path=masks.drop_path), masks.dropout)
    expected = torch.nn.functional.cross_entropy(logits, batch.label, label_smoothing=RECIPE.label_smoothing)
    torch.testing.assert_close(loss, expected)


def test_finetune_loss__of_a_batch_is_the_mean_of_its_parts() -> None:
    """What a clip loses does not depend on who takes it: two ranks have the loss of one."""
    loss = loss_function(frozen_norm(make_classifier(RECIPE, CLASSES, None)), RECIPE, FINETUNE)
    with torch.no_grad():
        whole = loss(make_batch(), 3).total
        parts = [loss(make_batch(part), 3).total for part in (torch.tensor([4, 0, 2]), torch.tensor([1, 5, 3]))]
    torch.testing.assert_close(whole, torch.stack(parts).mean())


def test_make_classifier__of_fine_tuning_takes_the_encoder_and_the_seeds_head(tmp_path: Path) -> None:
    recipe = finetune_recipe(model=RECIPE.model.replaced(depth=1))
    pretrained = save_mamp(tmp_path)

    model, scratch = make_classifier(recipe, CLASSES, tmp_path), make_classifier(recipe, CLASSES, None)

    assert all(
        torch.equal(value, model.encoder.state_dict()[name]) for name, value in pretrained.encoder.state_dict().items()
    )
    assert torch.equal(model.head.fc1.weight, scratch.head.fc1.weight)
    assert not torch.equal(model.encoder.temp_embed, scratch.encoder.temp_embed)
    assert model.head.fc1.out_features == recipe.head_width
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_optimiser_groups__scale_the_learning_rate_of_each_layer() -> None:
    model = make_classifier(RECIPE, CLASSES, None)
    trainer = make_trainer(loss_function(model, RECIPE, FINETUNE), optimiser_of(model))
    trainer.train_step([Microbatch(make_batch(), 1.0)], 0, 0, lr=0.5)
    assert isinstance(trainer.optimiser, torch.optim.AdamW)
    assert trainer.optimiser.param_groups[0]["betas"] == (0.9, 0.999)
    rates = {group[LR_SCALE]: group["lr"] for group in trainer.optimiser.param_groups}
    assert rates == pytest.approx({0.8**power: 0.5 * 0.8**power for power in range(4)})


def test_finetune_loss__training_learns_what_it_sees() -> None:
    model = make_classifier(RECIPE, CLASSES, None)
    trainer = make_trainer(loss_function(model, RECIPE, FINETUNE), optimiser_of(model))
    for number in range(40):
        trainer.train_step([Microbatch(make_batch(), 1.0)], number, 0, lr=0.003)
    losses = trainer.flush_metrics().losses
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
