"""`mampctl runs`: what was trained, read without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mamp_schemas.models.recipe import ScheduleSpec
from mamp_trainer.recipes import load_recipe
from tests.cli.conftest import Run
from tests.trainer.run_folders import write_recipe, write_run
from tests.trainer.runs import linear_recipe, pretrain_recipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of four runs: a pre-training, two seeds of linear evaluation, and one whose record is damaged."""
    write_run(tmp_path / "runs" / "pre", pretrain_recipe(), 0.25)
    for seed in (0, 1):
        write_run(tmp_path / "runs" / f"linear-{seed}", linear_recipe(seed=seed), 50.0 + seed)
    (write_run(tmp_path / "runs" / "torn", linear_recipe()) / "run.json").write_text("{")
    return tmp_path / "runs"


def test_list__a_table_of_runs(run: Run, folder: Path) -> None:
    outcome = run("runs", "list", folder)
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].split()[:3] == ["run", "task", "recipe"]
    assert [line.split()[0] for line in lines[1:5]] == [
        str(folder / name) for name in ("linear-0", "linear-1", "pre", "torn")
    ]
    assert "50.00 %" in lines[1]
    assert "51.00 % (2)" in lines[1]
    assert "loss 0.2500" in lines[3]
    assert "damaged" in lines[4]
    assert f"problem: {folder / 'torn' / 'run.json'}: not valid JSON" in outcome.out


def test_list__of_a_task_in_the_data_folder_as_json(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMPCTL_DATA", str(folder.parent))
    lines = json.loads(run("runs", "list", "--task", "pretrain", "--dataset", "ntu60", "--json").out)
    assert [(line["run"], line["last_loss"]) for line in lines] == [(str(folder / "pre"), 0.25)]
    assert json.loads(run("runs", "list", "--dataset", "pku1", "--json").out) == []


def test_list__a_folder_that_is_not_there_is_refused(run: Run, tmp_path: Path) -> None:
    outcome = run("runs", "list", tmp_path / "none")
    assert outcome.code == 2
    assert "no such folder" in outcome.err


def test_list__before_the_first_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMPCTL_DATA", str(tmp_path))
    assert run("runs", "list").out == "no runs\n"


def test_show__what_is_not_as_shipped(run: Run, tmp_path: Path) -> None:
    recipe = load_recipe("linear", "nwucla-small", ["seed=3"])
    write_run(tmp_path / "run", recipe)
    outcome = run("runs", "show", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    assert "A Fast One, 2 of 16 cores, 24 GB, no GPU, 1 rank" in outcome.out
    assert "recipe nwucla-small: as built in, except for (built-in / this run)\n  seed: 0 / 3\n" in outcome.out
    found = json.loads(run("runs", "show", tmp_path / "run", "--json").out)
    assert found["record"]["recipe_hash"] == recipe.digest()
    assert found["changes"] == [{"key": "seed", "values": [0, 3]}]


def test_show__of_an_incomplete_run(run: Run, tmp_path: Path) -> None:
    write_recipe(tmp_path / "run", linear_recipe())
    outcome = run("runs", "show", tmp_path / "run")
    assert "incomplete 0/3" in outcome.out
    assert "recipe tiny is not a built-in; see recipe.yaml" in outcome.out


def test_show__a_folder_without_a_run_is_refused(run: Run, tmp_path: Path) -> None:
    outcome = run("runs", "show", tmp_path)
    assert outcome.code == 2
    assert "no such run" in outcome.err


def test_compare__says_why_numbers_differ(run: Run, folder: Path) -> None:
    changed = linear_recipe(schedule=ScheduleSpec(epochs=9, lr=0.1))
    write_run(folder / "longer", changed, 60.0, manifest_hash="c" * 64)
    outcome = run("runs", "compare", folder / "linear-0", folder / "longer")
    assert outcome.code == 0, outcome.err
    printed = [line.split(maxsplit=1) for line in outcome.out.splitlines()]
    assert ["recipe", "same but for schedule.epochs: 3 / 9"] in printed
    assert ["store", "same"] in printed
    assert "split manifest  other: bbbbbbbbbbbb… / cccccccccccc…" in outcome.out


def test_compare__gives_mean_and_deviation_of_seeds(run: Run, folder: Path) -> None:
    outcome = run("runs", "compare", folder / "linear-0", folder / "linear-1")
    assert "seed            same but for seed: 0 / 1" in outcome.out
    assert "2 runs of one setting (seeds 0, 1)\n  top-1 %, last epoch  50.50 ± 0.71\n" in outcome.out
    found = json.loads(run("runs", "compare", folder / "linear-0", folder / "linear-1", "--json").out)
    assert found["groups"][0]["last_top1"]["mean"] == 50.5


def test_compare__one_run_is_refused(run: Run, folder: Path) -> None:
    outcome = run("runs", "compare", folder / "pre")
    assert outcome.code == 2
    assert "expected two or more" in outcome.err


def test_runs__are_read_without_torch(folder: Path) -> None:
    code = (
        "import sys; from mampctl.runtime.app import app\n"
        "for words in (['list', sys.argv[1]], ['show', sys.argv[2]], ['compare', *sys.argv[2:]]):\n"
        "    app(['runs', *words], standalone_mode=False)\n"
        "print([name for name in ('torch', 'zarr', 'numpy') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(folder), str(folder / "linear-0"), str(folder / "linear-1")]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True)
    assert outcome.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("option", "name", "near"), [("--dataset", "nwulca", "nwucla"), ("--task", "linaer", "linear")]
)
def test_list__a_misspelt_name_is_refused(run: Run, folder: Path, option: str, name: str, near: str) -> None:
    outcome = run("runs", "list", folder, option, name)
    assert outcome.code == 2
    assert f"Did you mean '{near}'?" in outcome.err
