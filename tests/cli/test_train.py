"""`mampctl train`: results, resume, and refusals that name what does not fit."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
import zarr

from mamp_schemas.models.protocols import SemiRecipe
from mamp_schemas.models.recipe import Recipe
from mamp_schemas.models.splits import Subset
from tests.cli.conftest import Run
from tests.cli.processes import start, wait_for_metrics
from tests.trainer.runs import (
    MODEL,
    assert_same_run,
    finetune_recipe,
    linear_recipe,
    pretrain_recipe,
    write_toy_store,
)
from tests.trainer.stores import Clip, write_manifest, write_store
from tests.waiting import finish


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    """As in the trainer's tests: tiny tensors lose much by threads."""
    torch.set_num_threads(1)


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
    assert f" --from {tmp_path / 'run'} --store {store}\n" in first.out
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
    assert outcome.code == 2
    assert "unknown key: model.wdith" in outcome.err


def test_pretrain__another_joint_count_is_refused(run: Run, store: Path, recipe: Path) -> None:
    outcome = run("train", "pretrain", "--recipe", recipe, "--store", store, "--set", "model.joints=20")
    assert outcome.code == 2
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


def test_pretrain__a_folder_whose_path_is_no_text_is_refused(
    run: Run, store: Path, recipe: Path, tmp_path: Path
) -> None:
    outcome = run("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "run\udcff")
    assert outcome.code == 1
    assert "bytes that are no UTF-8" in outcome.err
    assert "Name another folder with --out" in outcome.err


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
    write_manifest(store, xsub["train"], xsub["test"], protocol="xview")
    arguments = ("--recipe", probe, "--store", store, "--from", tmp_path / "run", "--out", tmp_path / "p")
    outcome = run("train", "linear", *arguments, "--set", "protocol=xview")
    assert outcome.code == 0
    assert "whose training clips include test clips of xview" in outcome.err


def test_linear__no_epoch_is_refused(run: Run, store: Path, probe: Path) -> None:
    outcome = run("train", "linear", "--recipe", probe, "--store", store, "--set", "schedule.epochs=0")
    assert outcome.code == 2
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


def test_linear__without_from_says_that_the_encoder_is_untrained(
    run: Run, store: Path, probe: Path, tmp_path: Path
) -> None:
    outcome = run("train", "linear", "--recipe", probe, "--store", store, "--out", tmp_path / "p")
    assert outcome.code == 0
    assert "an encoder that was never trained" in outcome.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_pretrain__stopped_by_a_signal_and_resumed_gives_the_same_weights(
    run: Run, store: Path, recipe: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    fixed = ("--recipe", recipe, "--store", store, "--device", "cpu", "--set", "schedule.epochs=15", "--out")
    arguments = ["train", "pretrain", *map(str, fixed)]
    process = start(*arguments, str(tmp_path / "cut"))
    wait_for_metrics(tmp_path / "cut", process, lines=4)
    process.send_signal(number)
    _, err = finish(process)
    assert process.returncode == code, err
    assert f"interrupted by {number.name} after step" in err
    assert not (tmp_path / "cut" / "run.json").exists()
    assert run(*arguments, tmp_path / "cut", "--resume").code == 0
    assert run(*arguments, tmp_path / "whole").code == 0
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_transfer__without_an_encoder_is_refused_at_once(run: Run) -> None:
    outcome = run("train", "transfer", "--recipe", "pku2-xsub-from-ntu60")
    assert outcome.code == 2
    assert "--from" in outcome.err


def test_finetune__a_run_that_is_not_there_is_named_at_once(run: Run, tmp_path: Path) -> None:
    outcome = run("train", "finetune", "--recipe", "nwucla-small", "--from", tmp_path / "gone")
    assert outcome.code == 1
    assert f"--from: no such run or checkpoint: {tmp_path / 'gone'}" in outcome.err


def write_recipe(folder: Path, recipe: Recipe) -> Path:
    path = folder / f"{recipe.kind}.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    return path


FINETUNING = finetune_recipe(model=MODEL)


def test_finetune__then_its_result_as_json(run: Run, store: Path, recipe: Path, tmp_path: Path) -> None:
    run("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "p")
    arguments = ("--recipe", write_recipe(tmp_path, FINETUNING), "--store", store, "--from", tmp_path / "p")
    outcome = run("train", "finetune", *arguments, "--out", tmp_path / "run", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["kind"] == "finetune"


def test_semi__each_draw_is_a_run_and_the_spread_is_told(run: Run, tmp_path: Path) -> None:
    store = write_subjects_store(tmp_path)
    run("build-splits", "--protocol", "xsub", "--store", store)
    run("build-splits", "--protocol", "xsub", "--store", store, "--fraction", "0.5", "--draws", "2")
    semi = SemiRecipe.model_validate({**FINETUNING.__dict__, "kind": "semi", "subset": Subset(fraction=0.5)})
    arguments = ("train", "semi", "--recipe", write_recipe(tmp_path, semi), "--store", store, "--draws", "2")
    lacking = run(*arguments[:-1], "3", "--out", tmp_path / "run")
    assert (lacking.code, (tmp_path / "run").exists()) == (1, False), lacking.err  # before the first draw is trained
    outcome = run(*arguments, "--out", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    assert "top-1 over 2 draws: last epoch" in outcome.out
    saved = [yaml.safe_load((tmp_path / "run" / f"draw-{n}" / "recipe.yaml").read_text()) for n in (1, 2)]
    assert [recipe["subset"]["draw"] for recipe in saved] == [1, 2]

    again = json.loads(run(*arguments, "--out", tmp_path / "run", "--resume", "--json").out)
    values = [draw["last_top1"] for draw in again["draws"]]
    assert again["last_top1"]["mean"] == pytest.approx(sum(values) / 2)
    assert again["last_top1"]["deviation"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)


def test_semi__without_a_recipe_names_them(run: Run, store: Path) -> None:
    outcome = run("train", "semi", "--store", store)
    assert outcome.code == 2
    assert "ntu60-xsub-10pct" in outcome.err


@pytest.mark.parametrize("task", ["pretrain", "linear", "finetune", "semi", "transfer"])
def test_train__lists_the_recipes_of_each_task(run: Run, task: str) -> None:
    outcome = run("train", task, "--recipe", "list")
    lines = outcome.out.splitlines()
    assert len(lines) >= 3
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


def write_subjects_store(folder: Path) -> Path:
    """Write a store whose clips train in xsub, but for some of a subject that tests."""
    joints = np.random.default_rng(0).normal(size=(26, 1, 12, 25, 3)).astype(np.float32)
    subjects = [1 if at < 20 else 3 for at in range(26)]
    clips = [Clip(f"clip{at:03d}", joints[at], at % 3, subject=subject) for at, subject in enumerate(subjects)]
    return write_store(folder / "ntu60.zarr", clips)
