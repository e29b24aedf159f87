"""`mampctl train`: results, resume, and refusals that name what does not fit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
import zarr
from safetensors.torch import load_file

from tests.cli.conftest import Run
from tests.trainer.runs import linear_recipe, pretrain_recipe, write_toy_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_toy_store(tmp_path)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(pretrain_recipe().model_dump(mode="json")))
    return path


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    path = tmp_path / "probe.yaml"
    path.write_text(yaml.safe_dump(linear_recipe().model_dump(mode="json")))
    return path


def test_pretrain__then_linear(run: Run, store: Path, recipe: Path, probe: Path, tmp_path: Path) -> None:
    first = run("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "run")
    assert first.code == 0, first.err
    assert f"mampctl train linear --from {tmp_path / 'run'}" in first.out
    second = run(
        "train",
        "linear",
        "--recipe",
        probe,
        "--store",
        store,
        "--from",
        tmp_path / "run",
        "--out",
        tmp_path / "p",
        "--json",
    )
    assert second.code == 0, second.err
    result = json.loads(second.out)
    assert (result["kind"], result["epochs"], result["clips"]) == ("linear", 3, 7)
    assert 0 <= result["last_top1"] <= result["best_top1"] <= 100


def test_pretrain__list_shows_every_recipe_with_its_summary(run: Run) -> None:
    lines = run("train", "pretrain", "--recipe", "list").out.splitlines()
    names = [line.split()[0] for line in lines]
    assert {"ntu60-xsub", "ntu120-xset", "nwucla-small"} <= set(names)
    assert all(len(line.split()) > 3 for line in lines)


def test_pretrain__unknown_recipe_names_the_known_ones(run: Run, store: Path) -> None:
    outcome = run("train", "pretrain", "--recipe", "ntu61", "--store", store)
    assert outcome.code == 2
    assert "ntu60-xsub" in outcome.err


def test_pretrain__unknown_key_is_named(run: Run, store: Path, recipe: Path) -> None:
    outcome = run("train", "pretrain", "--recipe", recipe, "--store", store, "--set", "model.wdith=3")
    assert outcome.code == 1
    assert "unknown key: model.wdith" in outcome.err


def test_pretrain__another_joint_count_is_refused(run: Run, store: Path, recipe: Path) -> None:
    outcome = run("train", "pretrain", "--recipe", recipe, "--store", store, "--set", "model.joints=20")
    assert outcome.code == 1
    assert "model.joints is 20" in outcome.err


def test_pretrain__another_dataset_is_refused(run: Run, store: Path, recipe: Path, tmp_path: Path) -> None:
    settings = ("--set", "dataset=ntu120", "--out", tmp_path / "run")
    outcome = run("train", "pretrain", "--recipe", recipe, "--store", store, *settings)
    assert outcome.code == 1
    assert "is for ntu120" in outcome.err


def test_pretrain__unfinished_store_is_refused(run: Run, store: Path, recipe: Path, tmp_path: Path) -> None:
    zarr.open_group(store, mode="r+").attrs.put({})
    outcome = run("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "run")
    assert outcome.code == 1
    assert "no completion mark" in outcome.err
    assert not (tmp_path / "run").exists()


def test_pretrain__missing_manifest_names_the_command(run: Run, store: Path, recipe: Path, tmp_path: Path) -> None:
    store.with_name("toy.xsub.json").unlink()
    outcome = run("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "run")
    assert outcome.code == 1
    assert "mampctl build-splits --protocol xsub" in outcome.err


def test_pretrain__existing_run_is_not_overwritten(run: Run, store: Path, recipe: Path, tmp_path: Path) -> None:
    arguments = ("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "run")
    assert run(*arguments).code == 0
    outcome = run(*arguments)
    assert outcome.code == 1
    assert "--resume" in outcome.err


def test_linear__checkpoint_of_another_shape_is_refused(
    run: Run, store: Path, recipe: Path, probe: Path, tmp_path: Path
) -> None:
    run("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "run")
    arguments = ("--recipe", probe, "--store", store, "--from", tmp_path / "run", "--out", tmp_path / "p")
    outcome = run("train", "linear", *arguments, "--set", "model.width=32")
    assert outcome.code == 1
    assert "(16,)" in outcome.err or "[16]" in outcome.err or "16" in outcome.err
    assert "shape" in outcome.err


def test_linear__another_number_of_heads_is_refused(
    run: Run, store: Path, recipe: Path, probe: Path, tmp_path: Path
) -> None:
    run("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "run")
    arguments = ("--recipe", probe, "--store", store, "--from", tmp_path / "run", "--out", tmp_path / "p")
    outcome = run("train", "linear", *arguments, "--set", "model.heads=4")
    assert outcome.code == 1
    assert "2 attention heads, the recipe's model.heads is 4" in outcome.err


def test_linear__warns_when_pretraining_saw_test_clips(
    run: Run, store: Path, recipe: Path, probe: Path, tmp_path: Path
) -> None:
    run("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "run")
    xsub = json.loads(store.with_name("toy.xsub.json").read_text())
    store.with_name("toy.xview.json").write_text(json.dumps({**xsub, "protocol": "xview"}))
    arguments = ("--recipe", probe, "--store", store, "--from", tmp_path / "run", "--out", tmp_path / "p")
    outcome = run("train", "linear", *arguments, "--set", "protocol=xview")
    assert outcome.code == 0
    assert "whose training clips include test clips of xview" in outcome.err


def test_linear__no_epoch_is_a_recipe_error(run: Run, store: Path, probe: Path) -> None:
    outcome = run("train", "linear", "--recipe", probe, "--store", store, "--set", "schedule.epochs=0")
    assert outcome.code == 1
    assert "schedule.epochs must be at least 1" in outcome.err


def test_pretrain__resume_does_not_overwrite_other_things(run: Run, store: Path, recipe: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "recipe.yaml"
    mine.parent.mkdir()
    mine.write_text("# with my comments")
    arguments = ("--recipe", recipe, "--store", store, "--out", mine.parent, "--resume")
    outcome = run("train", "pretrain", *arguments)
    assert outcome.code == 1
    assert "Name another folder with --out" in outcome.err
    assert mine.read_text() == "# with my comments"


def test_linear__missing_checkpoint_is_named(run: Run, store: Path, probe: Path, tmp_path: Path) -> None:
    arguments = ("--recipe", probe, "--store", store, "--from", tmp_path / "nowhere", "--out", tmp_path / "p")
    outcome = run("train", "linear", *arguments)
    assert outcome.code == 1
    assert "nowhere" in outcome.err


def test_linear__without_from_says_untrained(run: Run, store: Path, probe: Path, tmp_path: Path) -> None:
    outcome = run("train", "linear", "--recipe", probe, "--store", store, "--out", tmp_path / "p")
    assert outcome.code == 0
    assert "untrained" in outcome.err


def test_pretrain__sigint_and_resume_give_the_same_weights(store: Path, recipe: Path, tmp_path: Path) -> None:
    def command(out: Path, *more: str) -> list[str]:
        arguments = [
            "train",
            "pretrain",
            "--recipe",
            str(recipe),
            "--store",
            str(store),
            "--out",
            str(out),
            "--device",
            "cpu",
        ]
        return [sys.executable, "-m", "mampctl", *arguments, "--set", "schedule.epochs=15", *more]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True, env=environment)
    process = subprocess.Popen(command(tmp_path / "cut"), stderr=subprocess.PIPE, env=environment)
    metrics = tmp_path / "cut" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_text().count("epoch") > 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert not (tmp_path / "cut" / "run.json").exists()
    subprocess.run(command(tmp_path / "cut", "--resume"), check=True, capture_output=True, env=environment)
    (whole, cut) = (sorted((tmp_path / name / "checkpoints").glob("step-*"))[-1] for name in ("whole", "cut"))
    assert whole.name == cut.name
    one, other = load_file(whole / "model.safetensors"), load_file(cut / "model.safetensors")
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)
