"""Predictions of masked tokens: masked as in training, and back in metres."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.analysis import ArrayData
from mamp_schemas.models.objectives import MaskingSpec, TargetSpec
from mamp_trainer.analysis.reconstruction import reconstruct_masked
from mamp_trainer.models.mamp import from_tokens, motion, to_tokens
from mamp_trainer.objectives.mamp import denormalise_tokens, normalise_tokens
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.runtime import RunContext
from tests.trainer.runs import MODEL, evaluate_encoder, linear_recipe, pretrain_recipe, write_toy_store
from tests.trainer.stores import change_store, make_clips, write_manifest, write_store


def tensor(values: ArrayData) -> Tensor:
    """Return an array as a batch of one."""
    return torch.from_numpy(values.to_numpy().copy())[None]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained") / "run"
    pretrain(pretrain_recipe(), store, RunContext(folder, device="cpu"))
    return folder


def test_from_tokens__is_the_inverse_of_to_tokens() -> None:
    x = torch.randn(2, 8, 5, 3)
    assert torch.equal(from_tokens(to_tokens(x, 4), 5), x)


def test_denormalise_tokens__is_the_inverse_of_normalise() -> None:
    tokens = 0.01 * torch.randn(2, 6, 12) + 1
    torch.testing.assert_close(denormalise_tokens(normalise_tokens(tokens), tokens), tokens)


def test_reconstruct_masked__from_slow_to_fast(store: Path, run: Path) -> None:
    before = open_store(store).columns["mean_intensity"]
    change_store(store, {"mean_intensity": np.arange(33)[::-1] / 100})  # metres, as in real stores
    names = [body.clip for body in reconstruct_masked(run, store, 7, "cpu").examples]
    change_store(store, {"mean_intensity": before})
    assert names == [f"clip{number:03d}" for number in range(32, 25, -1)]


def test_reconstruct_masked__draws_clips_of_the_test_side_by_the_seed(store: Path, run: Path) -> None:
    names = [body.clip for body in reconstruct_masked(run, store, 4, "cpu").examples]
    assert len(set(names)) == 4
    assert set(names) <= {f"clip{number:03d}" for number in range(26, 33)}
    assert [body.clip for body in reconstruct_masked(run, store, 4, "cpu").examples] == names
    assert len(reconstruct_masked(run, store, 100, "cpu").examples) == 7


def test_reconstruct_masked__truth_is_the_motion_of_the_sample(store: Path, run: Path) -> None:
    body = reconstruct_masked(run, store, 1, "cpu").examples[0]
    assert body.joints.shape == body.truth.shape == body.predicted.shape == (MODEL.frames, 25, 3)
    np.testing.assert_allclose(body.truth.to_numpy(), motion(tensor(body.joints), 1)[0], atol=1e-6)


def test_reconstruct_masked__masks_the_recipe_s_share(store: Path, run: Path) -> None:
    for body in reconstruct_masked(run, store, 3, "cpu").examples:
        assert body.masked.shape == (MODEL.segments, 25)
        assert body.masked.to_numpy().sum() == MODEL.tokens - int(MODEL.tokens * (1 - MaskingSpec().ratio))


def test_reconstruct_masked__error_is_the_loss_of_the_prediction(store: Path, run: Path) -> None:
    for body in reconstruct_masked(run, store, 3, "cpu").examples:
        truth, predicted = (
            to_tokens(tensor(values), MODEL.segment).double() for values in (body.truth, body.predicted)
        )
        variance, mean = torch.var_mean(truth, dim=-1, keepdim=True)
        scale = (variance + 1e-6).sqrt()
        error = ((predicted - mean) / scale - (truth - mean) / scale).square().mean(dim=-1)
        masked = tensor(body.masked).view(1, -1)
        assert body.loss == pytest.approx(float(error[masked].mean()), rel=1e-3)


def test_reconstruct_masked__of_joints_that_are_not_normalised(store: Path, tmp_path: Path) -> None:
    recipe = pretrain_recipe(target=TargetSpec(kind="joint", normalise=False))
    pretrain(recipe, store, RunContext(tmp_path / "run", device="cpu"))
    body = reconstruct_masked(tmp_path / "run", store, 1, "cpu").examples[0]
    assert body.truth == body.joints


def test_reconstruct_masked__takes_stored_motion_where_training_did(store: Path, tmp_path: Path) -> None:
    pretrain(pretrain_recipe(motion_source="stored"), store, RunContext(tmp_path / "run", device="cpu"))
    body = reconstruct_masked(tmp_path / "run", store, 1, "cpu").examples[0]
    np.testing.assert_allclose(body.truth.to_numpy(), motion(tensor(body.joints), 1)[0], atol=1e-4)


def test_reconstruct_masked__of_two_bodies_shows_the_one_that_moves_more(tmp_path: Path) -> None:
    clips = make_clips([(2, 30)] * 6)
    for clip in clips:
        clip.joints[0] *= 0.01
    store = write_store(tmp_path / "pairs.zarr", clips)
    ids = [clip.id for clip in clips]
    write_manifest(store, ids[:4], ids[4:])
    pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", device="cpu"))
    assert [body.body for body in reconstruct_masked(tmp_path / "run", store, 2, "cpu").examples] == [1, 1]


def test_reconstruct_masked__refuses_a_classifier(store: Path, tmp_path: Path) -> None:
    evaluate_encoder(linear_recipe(), store, tmp_path / "run", device="cpu")
    with pytest.raises(CheckpointError, match="no pre-training"):
        reconstruct_masked(tmp_path / "run", store, 1, "cpu")
