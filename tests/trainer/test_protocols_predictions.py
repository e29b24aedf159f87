"""Clips in memory give what the same clips give out of a store."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mamp_schemas.datasets.ntu import NTU60
from mamp_schemas.datasets.nwucla import NWUCLA
from mamp_schemas.errors import CheckpointError, RecipeError
from mamp_schemas.io.store_reader import open_store
from mamp_trainer.data import batches
from mamp_trainer.data.batches import Clips, EmptySlot
from mamp_trainer.data.clips import store_clip_table
from mamp_trainer.data.dataset import Recording
from mamp_trainer.data.streaming import load_all_rows
from mamp_trainer.protocols.networks import load_classifier
from mamp_trainer.protocols.predictions import Predictor, predict_logits, top_classes
from tests.trainer.runs import CPU, evaluate_encoder, finetune_recipe, linear_recipe, write_toy_store
from tests.trainer.stores import Clip, make_clips, write_store

SHAPES = [(1, 80), (2, 30), (1, 1), (2, 64), (1, 7), (2, 12), (1, 200)]
RECIPE = linear_recipe(schedule=linear_recipe().schedule.replaced(epochs=1))
CLIPS = [Clip(clip.id, clip.joints, valid_frames=max(1, clip.joints.shape[1] - 3)) for clip in make_clips(SHAPES)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear classifier of 60 classes, trained a little on other clips."""
    folder = tmp_path_factory.mktemp("run")
    evaluate_encoder(RECIPE, write_toy_store(folder), folder / "run", device="cpu")
    return folder / "run"


def stored_scores(run: Path, folder: Path, empty_slot: EmptySlot, batch_size: int) -> Tensor:
    store = open_store(write_store(folder / "ntu60.zarr", CLIPS))
    table = store_clip_table(store, np.arange(len(CLIPS)))
    clips = Clips(table, load_all_rows(store, table, CPU, with_motion=False), None, CPU)
    tests = batches.TestBatches(clips, RECIPE.sampling, RECIPE.model.frames, batch_size, 2, empty_slot)
    return predict_logits(load_classifier(run, RECIPE), tests, lambda: None)


def recordings() -> list[Recording]:
    return [Recording(clip.joints, clip.valid_frames) for clip in CLIPS]


@pytest.mark.parametrize("empty_slot", ["zeros", "copy"])
def test_predictor_logits__equal_those_of_the_same_clips_in_a_store(
    run: Path, tmp_path: Path, empty_slot: EmptySlot
) -> None:
    predictor = Predictor.load(run, RECIPE, NTU60, empty_slot, "cpu")
    assert torch.equal(predictor.logits(recordings()), stored_scores(run, tmp_path, empty_slot, len(CLIPS)))


def test_predictor_logits__do_not_depend_on_what_is_predicted_together(run: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(run, RECIPE, NTU60, "zeros", "cpu")
    single = torch.cat([predictor.logits([recording]) for recording in recordings()])
    torch.testing.assert_close(single, stored_scores(run, tmp_path, "zeros", 3), rtol=1e-5, atol=1e-6)


def test_load_predictor__another_number_of_joints_is_refused(run: Path) -> None:
    with pytest.raises(RecipeError, match="for 25 joints, NW-UCLA has 20"):
        Predictor.load(run, RECIPE, NWUCLA, "zeros", "cpu")


def test_load_predictor__another_number_of_classes_is_refused(run: Path) -> None:
    with pytest.raises(CheckpointError, match="classifier of 60 classes, NTU RGB\\+D 60 has 61"):
        Predictor.load(run, RECIPE, NTU60.replaced(class_names=(*NTU60.class_names, "another")), "zeros", "cpu")


def test_load_predictor__another_kind_of_head_is_refused(run: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no classifier of `train finetune`"):
        Predictor.load(run, finetune_recipe(model=RECIPE.model), NTU60, "zeros", "cpu")


def test_top_classes__highest_first() -> None:
    top = top_classes(torch.tensor([[1.0, 3.0, 2.0]]).log(), 2)
    assert [[label for label, _ in clip] for clip in top] == [[1, 2]]
    assert [probability for _, probability in top[0]] == pytest.approx([1 / 2, 1 / 3])


def test_top_classes__no_more_than_there_are_classes() -> None:
    assert [len(clip) for clip in top_classes(torch.zeros(2, 3), 5)] == [3, 3]
