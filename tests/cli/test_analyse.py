"""`mampctl analyse`, and the analysis at the end of a training."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from mamp_schemas.io.run_files import read_analysis
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.runtime import RunContext
from tests.cli.conftest import Run
from tests.trainer.runs import linear_recipe, pretrain_recipe, write_toy_store


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and a pre-training on it that has no analysis."""
    folder = tmp_path_factory.mktemp("trained")
    pretrain(pretrain_recipe(), write_toy_store(folder), RunContext(folder / "mamp", device="cpu"))
    return folder


def test_analyse__writes_the_file_and_names_its_parts(run: Run, trained: Path) -> None:
    outcome = run("analyse", trained / "mamp", "--store", trained / "toy.zarr", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    file = trained / "mamp" / "analysis.json"
    assert f"{file}: features, reconstruction of step-" in outcome.out
    assert f"next: mampctl report {trained / 'mamp'} --out report.html" in outcome.out
    assert set(json.loads(file.read_text())) >= {"checkpoint", "weights", "store_hash", "manifest_hash"}


def test_analyse__as_json(run: Run, trained: Path) -> None:
    outcome = run("analyse", trained / "mamp", "--store", trained / "toy.zarr", "--device", "cpu", "--json")
    data = json.loads(outcome.out)
    assert (data["parts"], data["unavailable"]) == (["features", "reconstruction"], {})
    assert data["bytes"] == (trained / "mamp" / "analysis.json").stat().st_size


def test_analyse__takes_the_store_of_the_data_folder(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained / "toy.zarr", tmp_path / "ntu60.zarr")
    shutil.copy(trained / "toy.xsub.json", tmp_path / "ntu60.xsub.json")
    monkeypatch.setenv("MAMPCTL_DATA", str(tmp_path))
    assert run("analyse", trained / "mamp").code == 0


def test_analyse__a_store_that_is_none(run: Run, trained: Path, tmp_path: Path) -> None:
    outcome = run("analyse", trained / "mamp", "--store", tmp_path / "none.zarr")
    assert outcome.code == 1
    assert "none.zarr" in outcome.err


def test_analyse__a_folder_without_a_checkpoint(run: Run, tmp_path: Path) -> None:
    outcome = run("analyse", tmp_path)
    assert outcome.code == 1
    assert "there is no checkpoint to analyse" in outcome.err


def test_train__analyses_the_run_at_its_end(run: Run, trained: Path, tmp_path: Path) -> None:
    recipes = {"pretrain": pretrain_recipe(), "linear": linear_recipe()}
    for task, recipe in recipes.items():
        file = tmp_path / f"{task}.yaml"
        file.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
        options = ("--recipe", file, "--store", trained / "toy.zarr", "--out", tmp_path / task, "--device", "cpu")
        outcome = run("train", task, *options)
        assert outcome.code == 0, outcome.err
    pretrained, linear = (read_analysis(tmp_path / task) for task in recipes)
    assert pretrained is not None
    assert linear is not None
    assert (pretrained.unavailable, linear.unavailable) == ({}, {})
    assert pretrained.reconstruction is not None
    assert linear.confusion is not None
    assert linear.confusion.source == "scores"
