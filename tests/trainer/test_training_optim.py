import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mamp_schemas.models.objectives import MaskingSpec
from mamp_schemas.models.recipe import SGD, AdamW, ScheduleSpec
from mamp_trainer.models.mamp import MAMP
from mamp_trainer.training.optim import learning_rate, make_optimiser, parameter_groups
from tests.trainer.runs import MODEL

PUBLISHED = ScheduleSpec(epochs=400, warmup_epochs=20, lr=1e-3, final_lr=5e-4)


def optimiser_of(module: nn.Module, spec: AdamW | SGD) -> torch.optim.Optimizer:
    return make_optimiser(parameter_groups(module, spec.weight_decay), spec)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, 0.0),
        (5, 2.5e-4),
        (20, 1e-3),
        (210, 7.5e-4),
        (115, 5e-4 + 5e-4 * (1 + math.cos(math.pi / 4)) / 2),
        (400, 5e-4),
    ],
)
def test_learning_rate__published_schedule_at_whole_epochs(epoch: int, expected: float) -> None:
    assert learning_rate(epoch * 313, 313, PUBLISHED) == pytest.approx(expected, rel=1e-12)


def test_learning_rate__moves_within_an_epoch() -> None:
    assert learning_rate(157, 314, PUBLISHED) == pytest.approx(1e-3 * 0.5 / 20, rel=1e-12)


def test_learning_rate__without_warmup_begins_at_its_peak() -> None:
    schedule = ScheduleSpec(epochs=100, lr=0.1)
    assert [learning_rate(step, 1, schedule) for step in (0, 50, 100)] == pytest.approx([0.1, 0.05, 0.0])


def test_learning_rate__warmup_longer_than_the_run_stays_in_warmup() -> None:
    schedule = ScheduleSpec(epochs=2, warmup_epochs=4, lr=1.0)
    assert learning_rate(1, 1, schedule) == 0.25


@given(st.integers(0, 40), st.integers(1, 7))
def test_learning_rate__never_leaves_its_bounds(step: int, steps_per_epoch: int) -> None:
    schedule = ScheduleSpec(epochs=5, warmup_epochs=1.5, lr=0.3, final_lr=0.1)
    lr = learning_rate(step, steps_per_epoch, schedule)
    assert 0 <= lr <= 0.3
    assert lr >= 0.1 or step / steps_per_epoch < 1.5


def test_parameter_groups__spare_exactly_the_one_dimensional() -> None:
    model = MAMP(MODEL, MaskingSpec())
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed, spared = parameter_groups(model, 0.05)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.05, 0.0)
    assert all(names[tensor].endswith("bias") or ".norm" in names[tensor] for tensor in spared["params"])
    assert {"decoder.mask_token", "encoder.temp_embed", "encoder.pos_embed"} <= {names[p] for p in decayed["params"]}
    assert len(decayed["params"]) + len(spared["params"]) == len(names)


def test_parameter_groups__leave_out_what_is_fixed() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[0].requires_grad_(False)
    assert [len(group["params"]) for group in parameter_groups(module, 0.1)] == [1, 1]


def test_make_optimiser__adamw_of_the_recipe() -> None:
    optimiser = optimiser_of(nn.Linear(2, 2), AdamW(kind="adamw", betas=(0.8, 0.9), weight_decay=0.3))
    assert isinstance(optimiser, torch.optim.AdamW)
    assert [(group["betas"], group["weight_decay"], group["lr"]) for group in optimiser.param_groups] == [
        ((0.8, 0.9), 0.3, 0.0),
        ((0.8, 0.9), 0.0, 0.0),
    ]


def test_make_optimiser__sgd_of_the_recipe() -> None:
    optimiser = optimiser_of(nn.Linear(2, 2), SGD(kind="sgd", momentum=0.7))
    assert isinstance(optimiser, torch.optim.SGD)
    assert {group["momentum"] for group in optimiser.param_groups} == {0.7}


def test_make_optimiser__adamw_follows_the_formula() -> None:
    """One pass over memory, the same numbers as operation by operation."""
    torch.manual_seed(0)
    one, two = nn.Linear(30, 40), nn.Linear(30, 40)
    two.load_state_dict(one.state_dict())
    ours = optimiser_of(one, AdamW(kind="adamw"))
    plain = torch.optim.AdamW(parameter_groups(two, 0.05), lr=0.0, betas=(0.9, 0.95), foreach=False, fused=False)
    for _ in range(5):
        for module, optimiser in ((one, ours), (two, plain)):
            for group in optimiser.param_groups:
                group["lr"] = 0.01
            module.zero_grad()
            module(torch.ones(3, 30)).square().sum().backward()
            optimiser.step()
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
