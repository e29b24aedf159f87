"""`mampctl evaluate`, `knn` and `embed`: what they print and write, and what they refuse."""

import csv
import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

from mamp_schemas.io.run_files import list_checkpoints
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.protocols.predictions import ClipPredictions
from mamp_trainer.training.runtime import RunContext
from tests.cli.conftest import Run
from tests.trainer.golden_model import to_released
from tests.trainer.runs import (
    MODEL,
    evaluate_encoder,
    finetune_recipe,
    last_checkpoint,
    linear_recipe,
    pretrain_recipe,
    read_metrics,
    write_toy_store,
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("trained") / "run"
    evaluate_encoder(linear_recipe(), store, run, device="cpu")
    return run


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "linear.yaml"
    path.write_text(yaml.safe_dump(linear_recipe().model_dump(mode="json")))
    return path


def test_evaluate__writes_report_tables_and_scores(run: Run, store: Path, trained: Path, tmp_path: Path) -> None:
    outcome = run("evaluate", trained, "--store", store, "--out", tmp_path / "found")
    assert outcome.code == 0, outcome.err
    assert "ntu60 xsub: 7 test clips" in outcome.out
    report = json.loads((tmp_path / "found" / "evaluation.json").read_text())
    assert sum(map(sum, report["matrix"])) == 7
    assert ClipPredictions.read(tmp_path / "found" / "scores.npz").logits.shape == (7, 60)


def test_evaluate__tables_hold_the_present_classes_or_all(run: Run, store: Path, trained: Path, tmp_path: Path) -> None:
    tables = {}
    for folder, options in (("present", []), ("all", ["--all-classes"])):
        outcome = run("evaluate", trained, "--store", store, "--out", tmp_path / folder, *options)
        assert outcome.code == 0, outcome.err
        for name in ("classes.csv", "confusion.csv"):
            tables[folder, name] = list(csv.reader((tmp_path / folder / name).read_text().splitlines()))
    matrix = np.array(json.loads((tmp_path / "all" / "evaluation.json").read_text())["matrix"])
    present = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    assert 0 < len(present) < 60
    classes = tables["all", "classes.csv"]
    assert len(classes) == 61
    assert tables["present", "classes.csv"] == [classes[0], *(classes[1 + i] for i in present)]
    for folder, shown in (("present", present), ("all", np.arange(60))):
        header, *rows = tables[folder, "confusion.csv"]
        assert header[1:] == [row[0] for row in rows] == [classes[1 + i][1] for i in shown]
        assert [list(map(int, row[1:])) for row in rows] == matrix[np.ix_(shown, shown)].tolist()


def test_evaluate__another_test_crop_is_told(run: Run, store: Path, trained: Path) -> None:
    outcome = run("evaluate", trained, "--store", store, "--set", "sampling.test_crop=0.95", "--json")
    assert json.loads(outcome.out)["test_crop"] == 0.95


def test_evaluate__the_best_epoch(run: Run, store: Path, trained: Path) -> None:
    record = json.loads((trained / "run.json").read_text())["result"]
    outcome = run("evaluate", trained, "--store", store, "--best", "--json")
    assert json.loads(outcome.out)["top1"] == pytest.approx(record["best_top1"])


def test_evaluate__the_checkpoint_of_an_epoch(run: Run, store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    evaluate_encoder(linear_recipe(keep_every=1), store, folder, device="cpu")
    history = [line for line in read_metrics(folder) if line["event"] == "epoch"]
    for number, line in enumerate(history, 1):
        outcome = run("evaluate", folder, "--store", store, "--checkpoint", number, "--json")
        assert json.loads(outcome.out)["top1"] == pytest.approx(line["test_top1"])


def test_evaluate__a_checkpoint_that_is_not_there(run: Run, store: Path, trained: Path) -> None:
    outcome = run("evaluate", trained, "--store", store, "--checkpoint", 7)
    assert outcome.code == 1
    assert "has no checkpoint '7'; it has: epoch" in outcome.err
    outcome = run("evaluate", trained, "--store", store, "--checkpoint", 3, "--best")
    assert outcome.code == 2
    assert "--best and --checkpoint name two checkpoints" in outcome.err


@pytest.mark.parametrize(
    "command", [("knn",), ("embed", "--out", "x.npz"), ("train", "linear", "--recipe", "ntu60-demo")]
)
def test_checkpoint__needs_a_run(run: Run, store: Path, command: tuple[str, ...]) -> None:
    outcome = run(*command, "--store", store, "--checkpoint", 1)
    assert outcome.code == 2
    assert "--checkpoint needs a run" in outcome.err


def test_train__from_the_checkpoint_of_an_epoch(run: Run, store: Path, probe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pretrained"
    pretrain(pretrain_recipe(keep_every=1), store, RunContext(folder, device="cpu"))
    outcome = run(
        "train",
        "linear",
        "--recipe",
        probe,
        "--store",
        store,
        "--from",
        folder,
        "--checkpoint",
        1,
        "--out",
        tmp_path / "run",
    )
    assert outcome.code == 0, outcome.err
    origin = json.loads((tmp_path / "run" / "run.json").read_text())["origin"]
    assert origin["checkpoint"] == str(list_checkpoints(folder)[0])


def test_evaluate__a_folder_that_holds_something_is_refused(run: Run, store: Path, trained: Path) -> None:
    outcome = run("evaluate", trained, "--store", store, "--out", trained)
    assert outcome.code == 1
    assert "not an empty folder" in outcome.err


def test_evaluate__released_classifier_needs_its_recipe(run: Run, store: Path, tmp_path: Path) -> None:
    recipe = finetune_recipe(model=MODEL)
    evaluate_encoder(recipe, store, tmp_path / "run", device="cpu")
    torch.save({"model": to_released(last_checkpoint(tmp_path / "run").weights)}, tmp_path / "released.pth")
    (tmp_path / "finetune.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))

    without = run("evaluate", tmp_path / "released.pth", "--store", store)
    assert without.code == 2
    assert "--recipe" in without.err
    arguments = ("--store", store, "--json", "--device", "cpu")
    released = run("evaluate", tmp_path / "released.pth", "--recipe", tmp_path / "finetune.yaml", *arguments)
    trained_here = run("evaluate", tmp_path / "run", *arguments)
    assert json.loads(released.out)["matrix"] == json.loads(trained_here.out)["matrix"]


def test_evaluate__released_linear_classifier_says_what_its_run_says(
    run: Run, store: Path, trained: Path, probe: Path, tmp_path: Path
) -> None:
    released = tmp_path / "linear.pth"
    torch.save({"model": to_released(last_checkpoint(trained).weights)}, released)
    arguments = ("--store", store, "--json", "--device", "cpu")
    outcome = run("evaluate", released, "--recipe", probe, *arguments)
    assert outcome.code == 0, outcome.err
    trained_here = run("evaluate", trained, *arguments)
    assert {**json.loads(outcome.out), "network": ""} == {**json.loads(trained_here.out), "network": ""}


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("__import__('pathlib').Path('run').touch()",))


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "FILE"),
        ("embed", "FILE", "--out", "features.npz"),
        ("knn", "FILE"),
        ("train", "linear", "--from", "FILE"),
        ("train", "finetune", "--from", "FILE"),
    ],
)
def test_hostile_pickle__is_refused_and_not_run(
    run: Run, store: Path, probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hostile.pth").write_bytes(pickle.dumps({"model": _Hostile()}))
    recipe: object = probe
    if "finetune" in command:
        recipe = tmp_path / "finetune.yaml"
        Path("finetune.yaml").write_text(yaml.safe_dump(finetune_recipe(model=MODEL).model_dump(mode="json")))
    arguments = [part.replace("FILE", "hostile.pth") for part in command]
    outcome = run(*arguments, "--recipe", recipe, "--store", store)
    assert outcome.code == 1
    assert "hostile.pth: refused" in outcome.err
    assert not Path("run").exists()


def test_knn__of_initial_weights(run: Run, store: Path, probe: Path) -> None:
    outcome = run("knn", "--recipe", probe, "--store", store, "--k", "3")
    assert outcome.code == 0, outcome.err
    assert "untrained (recipe tiny), ntu60 xsub: 7 test clips among 26 training clips" in outcome.out
    assert "mean average precision" in outcome.out


def test_embed__the_same_in_both_formats(run: Run, store: Path, trained: Path, tmp_path: Path) -> None:
    for name in ("f.npz", "f.h5"):
        outcome = run("embed", trained, "--store", store, "--out", tmp_path / name)
        assert outcome.code == 0, outcome.err
    with np.load(tmp_path / "f.npz") as plain, h5py.File(tmp_path / "f.h5") as file:
        assert np.array_equal(plain["features"], file["features"][...])
        assert plain["clip"].tolist() == [name.decode() for name in file["clip"][...]]
        assert plain["side"].tolist() == ["train"] * 26 + ["test"] * 7
        assert str(plain["weights"]) == file.attrs["weights"]


@pytest.mark.parametrize(("name", "code"), [("there.npz", 1), ("other.txt", 2)])
def test_embed__refuses_before_it_works(
    run: Run, store: Path, trained: Path, tmp_path: Path, name: str, code: int
) -> None:
    (tmp_path / "there.npz").touch()
    outcome = run("embed", trained, "--store", store, "--out", tmp_path / name)
    assert outcome.code == code
    assert name in outcome.err
