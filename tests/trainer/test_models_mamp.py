import pytest
import torch

from mamp_schemas.models.objectives import MaskingSpec, TargetSpec
from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.checkpoints.released import from_released
from mamp_trainer.models.mamp import MAMP, MAMPOutput
from mamp_trainer.objectives.mamp import masked_error, prediction_target
from tests.trainer.golden_model import (
    SPEC,
    clips_NMTVC,
    golden,
    official_weights,
    parameter_names,
    relative_deviation,
    to_released,
)

TINY = ModelSpec(
    joints=3, frames=8, width=16, depth=1, heads=2, decoder_width=8, decoder_depth=1, decoder_heads=2
)  # fmt: skip
MOTION = {
    0: (MaskingSpec(ratio=0.9, temperature=0.8), 1),
    1: (MaskingSpec(ratio=0.9, temperature=0.75), 1),
    2: (MaskingSpec(ratio=0.6, temperature=0.8), 2),
    3: (MaskingSpec(ratio=0.9, strategy="uniform"), 1),
}
CASES = {
    f"mamp{number}{letter}": (masking, TargetSpec(stride=stride, normalise=letter == "n"))
    for number, (masking, stride) in MOTION.items()
    for letter in "nr"
}
MAE = (MaskingSpec(ratio=0.9, strategy="uniform"), TargetSpec(kind="joint"))


def run(masking: MaskingSpec, target: TargetSpec) -> tuple[MAMP, MAMPOutput, torch.Tensor]:
    model = MAMP(SPEC, masking).double()
    model.load_state_dict(from_released(official_weights()))
    x, u = clips_NMTVC().flatten(0, 1), golden("u")
    output = model(x, u)
    return model, output, masked_error(output.pred, prediction_target(x, x, SPEC.segment, target), output.mask)


def loss_of(model: MAMP, x: torch.Tensor, u: torch.Tensor, trajectory: torch.Tensor | None = None) -> torch.Tensor:
    pred, mask = model(x, u, trajectory)
    motion_of = x if trajectory is None else trajectory
    return masked_error(pred, prediction_target(x, motion_of, TINY.segment, TargetSpec()), mask)


def tiny(seed: int = 0) -> MAMP:
    torch.manual_seed(seed)
    return MAMP(TINY, MaskingSpec(ratio=0.5))


@pytest.mark.parametrize("case", [*CASES, "mae"])
def test_forward__equals_the_authors(case):
    _, output, loss = run(*CASES.get(case, MAE))

    assert torch.equal(output.mask, golden(f"{case}/mask").bool())
    assert loss.item() == pytest.approx(golden(f"{case}/loss").item(), rel=1e-9)
    assert relative_deviation(output.pred, golden(f"{case}/pred")) < 1e-9


@pytest.mark.parametrize("case", CASES)
def test_backward__equals_the_authors(case):
    model, _, loss = run(*CASES[case])
    loss.backward()

    gradients = to_released({name: parameter.grad for name, parameter in model.named_parameters()})

    norms = torch.stack([gradients[name].norm() for name in parameter_names()])
    torch.testing.assert_close(norms, golden(f"{case}/grad_norms"), rtol=1e-7, atol=0)


def test_mamp__has_the_published_size():
    with torch.device("meta"):
        model = MAMP(ModelSpec(), MaskingSpec())

    assert sum(parameter.numel() for parameter in model.parameters()) == 10_368_524


def test_mamp__starts_equal_from_equal_seeds():
    first, again, other = tiny(0).state_dict(), tiny(0).state_dict(), tiny(1).state_dict()

    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["decoder.mask_token"], other["decoder.mask_token"])


def test_forward__takes_masking_and_target_from_the_trajectory():
    model, x, u = tiny(), torch.randn(2, 8, 3, 3), torch.full((2, 6), 0.5)
    still, moving = torch.zeros_like(x), torch.zeros_like(x)
    moving[:, 4:, 2] = 1.0

    assert model(x, u, moving).mask[0].tolist() == [False, False, True, False, True, True]
    assert torch.equal(loss_of(model, x, u, x), loss_of(model, x, u))
    assert not torch.equal(loss_of(model, x, u, still), loss_of(model, x, u))


def test_forward__is_finite_for_an_empty_body():
    model = tiny()
    loss_of(model, torch.zeros(2, 8, 3, 3), torch.rand(2, 6)).backward()

    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_forward__runs_under_autocast():
    model, x, u = tiny(), torch.randn(2, 8, 3, 3), torch.rand(2, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(model, x, u)
    loss.backward()

    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(loss_of(model, x, u).item(), rel=0.02)


def test_masked_error__ignores_visible_tokens():
    pred = torch.tensor([[[2.0, 4.0], [100.0, 100.0]], [[1.0, 1.0], [1.0, 3.0]]])
    mask = torch.tensor([[True, False], [True, True]])

    assert masked_error(pred, torch.zeros_like(pred), mask) == (10 + 1 + 5) / 3
