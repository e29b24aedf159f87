"""The analysis of a run: scores kept or computed again, confused classes, features of clips, the file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.run_files import ANALYSIS_FILE, analysis_problem, read_analysis
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.analysis import ArrayData
from mamp_schemas.models.recipe import ScheduleSpec
from mamp_schemas.progress import NullProgress
from mamp_trainer.analysis.run_analysis import (
    analyse_finished_run,
    analyse_run,
    compute_predictions,
    confusion_analysis,
    embed_test_clips,
    read_predictions,
)
from mamp_trainer.checkpoints.load import load_encoder
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.protocols.predictions import SCORES_FILE, ClipPredictions
from mamp_trainer.training.runtime import ComputeContext, RunContext
from tests.trainer.runs import MODEL, evaluate_encoder, linear_recipe, open_source, pretrain_recipe, write_toy_store
from tests.trainer.stores import change_store, write_manifest


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linear") / "run"
    evaluate_encoder(linear_recipe(schedule=ScheduleSpec(epochs=4, lr=0.1)), store, folder, device="cpu")
    return folder


def test_confusion_analysis__counts_by_the_highest_score() -> None:
    logits = torch.tensor([[1.0, 2, 0], [3, 2, 0], [0, 1, 2], [0, 0, 5]])
    found = confusion_analysis(ClipPredictions(["a", "b", "c", "d"], torch.tensor([0, 0, 1, 2]), logits), "scores")
    assert found.matrix.to_numpy().tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert found.accuracy == (50, 0, 100)
    assert [tuple(pair.model_dump().values()) for pair in found.pairs] == [(1, 2, 1, 100), (0, 1, 1, 50)]
    assert (found.clips, found.num_pairs) == (4, 2)


def test_confusion_analysis__a_class_without_clips_has_no_accuracy() -> None:
    predictions = ClipPredictions(["a"], torch.tensor([1]), torch.tensor([[0.0, 1]]))
    assert confusion_analysis(predictions, "scores").accuracy == (None, 100)


def test_read_predictions__are_those_of_the_run(run: Path, tmp_path: Path) -> None:
    kept = read_predictions(run)
    assert kept is not None
    assert len(kept.clip) == 7
    assert read_predictions(tmp_path) is None


def test_read_predictions__damaged(tmp_path: Path) -> None:
    (tmp_path / SCORES_FILE).write_bytes(b"PK")
    with pytest.raises(CheckpointError, match=SCORES_FILE):
        read_predictions(tmp_path)


def test_compute_predictions__are_those_that_the_run_has_left(store: Path, run: Path) -> None:
    kept, computed = read_predictions(run), compute_predictions(run, store, "cpu", NullProgress())
    assert kept is not None
    assert computed.clip == kept.clip
    assert torch.equal(computed.label, kept.label)
    torch.testing.assert_close(computed.logits, kept.logits)


def test_compute_predictions__on_another_store(store: Path, run: Path, tmp_path: Path) -> None:
    other = write_toy_store(tmp_path)
    change_store(other, content_hash="d" * 64)
    ids = open_store(other).ids
    write_manifest(other, ids[:26], ids[26:], content_hash="d" * 64)
    with pytest.raises(CheckpointError, match="another store"):
        compute_predictions(run, other, "cpu", NullProgress())


def test_embed_test_clips__are_mean_features_of_the_encoder(store: Path, tmp_path: Path) -> None:
    recipe = pretrain_recipe()
    pretrain(recipe, store, RunContext(tmp_path / "run", device="cpu"))
    placed = embed_test_clips(tmp_path / "run", store, 100, "cpu", NullProgress())
    assert (len(placed.clips), placed.total) == (7, 7)
    source = open_source(store, linear_recipe())
    batch = source.test_batches(source.load("test")).batch(0)
    encoder = Encoder(MODEL)
    encoder.load_state_dict(load_encoder(tmp_path / "run", MODEL))
    with torch.no_grad():
        features = encoder.eval()(batch.x.flatten(0, 1)).view(len(batch.clip), 2, -1, MODEL.width)
    expected = features.mean(dim=(1, 2)).numpy()
    np.testing.assert_allclose(placed.features.to_numpy()[batch.clip.numpy()], expected, atol=1e-5)
    assert [placed.labels[clip] for clip in batch.clip.tolist()] == batch.label.tolist()
    assert list(placed.clips) == source.ids["test"]


def test_embed_test_clips__draws_some_by_the_seed(store: Path, run: Path) -> None:
    placed = embed_test_clips(run, store, 3, "cpu", NullProgress())
    assert placed.features.shape == (3, MODEL.width)
    assert (len(set(placed.clips)), placed.total) == (3, 7)
    assert embed_test_clips(run, store, 3, "cpu", NullProgress()).clips == placed.clips


def test_analyse_run__writes_the_parts_of_a_classifier(store: Path, run: Path) -> None:
    analysis = analyse_run(run, store, "cpu")
    assert read_analysis(run) == analysis
    assert analysis.confusion is not None
    assert analysis.confusion.source == "scores"
    assert analysis.features is not None
    assert (analysis.reconstruction, analysis.unavailable) == (None, {})
    assert (len(analysis.class_titles), analysis.store_hash) == (60, "c" * 64)
    assert analysis_problem(run, analysis) == ""


def test_analyse_run__writes_the_parts_of_a_pretraining_and_keeps_the_random_state(store: Path, tmp_path: Path) -> None:
    pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", device="cpu"))
    before = torch.get_rng_state()
    analysis = analyse_run(tmp_path / "run", store, "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert analysis.confusion is None
    assert analysis.features is not None
    assert analysis.reconstruction is not None
    assert len(analysis.reconstruction.examples) == 6


def test_analyse_run__a_part_that_fails_has_its_reason(store: Path, run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (copy / SCORES_FILE).write_bytes(b"PK")
    analysis = analyse_run(copy, store, "cpu")
    assert analysis.confusion is None
    assert SCORES_FILE in analysis.unavailable["confusion"]
    assert analysis.features is not None


def test_analyse_run__without_scores_evaluates_the_checkpoint(store: Path, run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (copy / SCORES_FILE).unlink()
    evaluated, kept = analyse_run(copy, store, "cpu").confusion, analyse_run(run, store, "cpu").confusion
    assert evaluated is not None
    assert kept is not None
    assert evaluated.source == "checkpoint"
    assert evaluated.matrix == kept.matrix


def test_analyse_run__refuses_another_store(run: Path, tmp_path: Path) -> None:
    other = write_toy_store(tmp_path)
    change_store(other, content_hash="d" * 64)
    with pytest.raises(CheckpointError, match="another store"):
        analyse_run(run, other, "cpu")


def test_analyse_run__without_a_checkpoint(store: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint to analyse"):
        analyse_run(tmp_path, store, "cpu")


def test_analysis_problem__of_other_weights(store: Path, run: Path) -> None:
    analysis = analyse_run(run, store, "cpu").replaced(weights="0" * 64)
    assert f"mampctl analyse {run}" in analysis_problem(run, analysis)


def test_analyse_finished_run__keeps_what_belongs_to_the_weights(store: Path, run: Path) -> None:
    analyse_run(run, store, "cpu")
    before = (run / ANALYSIS_FILE).stat().st_mtime_ns
    analyse_finished_run(run, store, ComputeContext(device="cpu"))
    assert (run / ANALYSIS_FILE).stat().st_mtime_ns == before
    (run / ANALYSIS_FILE).write_text("damaged")
    analyse_finished_run(run, store, ComputeContext(device="cpu"))
    assert read_analysis(run) is not None


def test_analyse_finished_run__a_failure_is_a_warning(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (copy / ANALYSIS_FILE).unlink(missing_ok=True)
    analyse_finished_run(copy, tmp_path / "none.zarr", ComputeContext(device="cpu"))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"{copy} is complete, but could not be analysed" in record.message
    assert not (copy / ANALYSIS_FILE).exists()


def test_array_data__returns_the_array_and_checks_its_size() -> None:
    values = np.arange(6, dtype=np.int64).reshape(2, 3)
    data = ArrayData.of(values)
    np.testing.assert_array_equal(data.to_numpy(), values)
    with pytest.raises(ValidationError, match="24 bytes for shape"):
        data.replaced(shape=(2, 4))
