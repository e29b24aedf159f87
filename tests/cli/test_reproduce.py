"""`mampctl reproduce`: from stores to finished tables, and going on where it stopped."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mamp_schemas.models.reproduction import ObtainedTable
from tests.cli.conftest import Outcome, Run
from tests.trainer.runs import write_toy_store
from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[2]
ONE_DATASET = ("--scale", "small", "--only", "ntu60/xsub", "--device", "cpu")

VICTIM = """
import os, signal, sys, time
from contextlib import contextmanager
from pathlib import Path
import torch
from mamp_schemas.progress import NullProgress
from mampctl.runtime import app, distributed

class Killer(NullProgress):
    "Sends a signal in the middle of the second run, once it has a checkpoint."
    runs = steps = 0

    def start(self, task, total, unit, done=0):
        self.runs, self.steps = self.runs + 1, 0

    def advance(self, count, **_values):
        self.steps += count
        if self.runs == 2 and self.steps == 6:
            (run,) = RUNS.glob("linear-*")
            while not list(run.glob("checkpoints/step-*/meta.json")):
                time.sleep(0.01)
            os.kill(os.getpid(), NUMBER)

@contextmanager
def show_progress():
    yield Killer()

RUNS, NUMBER = Path(sys.argv[-2]) / "runs", int(sys.argv.pop())
torch.set_num_threads(1)
distributed.show_progress = show_progress
app.run_app()
"""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    """As in the trainer's tests: tiny tensors lose much by threads."""
    torch.set_num_threads(1)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data folder with a store of NTU-60 and its manifest, which commands take by default."""
    folder = tmp_path / "data"
    folder.mkdir()
    write_toy_store(folder).rename(folder / "ntu60.zarr")
    (folder / "toy.xsub.json").rename(folder / "ntu60.xsub.json")
    monkeypatch.setenv("MAMPCTL_DATA", str(folder))
    return folder


def read_table(folder: Path, name: str = "table-8-small") -> ObtainedTable:
    return ObtainedTable.model_validate_json((folder / "tables" / f"{name}.json").read_text())


def started(outcome: Outcome) -> int:
    """Return how many runs were trained."""
    return sum(json.loads(line)["event"] == "start" for line in outcome.err.splitlines())


def test_reproduce__from_nothing_to_the_finished_table(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMPCTL_DATA", str(tmp_path / "data"))
    for dataset in ("ntu60", "ntu120"):
        raw = tmp_path / f"{dataset}.zip"
        synth = ("--clips", 24, "--classes", 3, "--setups", 2, "--subjects", 4)
        assert run("synth", dataset, "--out", raw, *synth).code == 0
        assert run("ingest", dataset, "--raw", raw).code == 0
    outcome = run("reproduce", "8", "--scale", "small", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    table = read_table(tmp_path / "data")
    assert [cell.state for cell in table.cells] == ["done"] * 4
    assert not table.comparable
    assert started(outcome) == 8
    markdown = (tmp_path / "data" / "tables" / "table-8-small.md").read_text()
    assert markdown.startswith("# Table 8: Mask sampling (reduced scale: not a reproduction)\n")
    for cell in table.cells:
        (found,) = cell.runs
        record = json.loads((tmp_path / "data" / "tables" / found.folder / "run.json").read_text())
        published = table.published.rows[cell.row].values[cell.column]
        assert cell.obtained is not None
        assert published is not None
        assert cell.obtained.mean == record["result"]["last_top1"]
        assert cell.difference == cell.obtained.mean - published
        assert f"| {published} | {cell.obtained} | {cell.difference:+.2f} |" in markdown


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 75)])
def test_reproduce__stopped_in_the_middle_goes_on_there(
    run: Run, data: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    cut = tmp_path / "cut"
    command = ("reproduce", "8", *ONE_DATASET, "--out", str(cut))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    victim = [sys.executable, "-c", VICTIM, *command, str(int(number))]
    killed = subprocess.run(victim, env=environment, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert killed.returncode == code, killed.stderr
    (first,), (second,) = (list((cut / "runs").glob(f"{kind}-*")) for kind in ("pretrain", "linear"))
    record = (first / "run.json").read_bytes()
    assert not (second / "run.json").exists()
    assert [cell.state for cell in read_table(cut).cells] == ["pending"] * 4

    resumed = run(*command)
    assert resumed.code == 0, resumed.err
    assert started(resumed) == 3
    assert resumed.err.count("resuming: ") == 1
    assert (first / "run.json").read_bytes() == record
    assert run("reproduce", "8", *ONE_DATASET, "--out", tmp_path / "whole").code == 0
    for name in ("table-8-small.md", "table-8-small.csv", "table-8-small.json"):
        assert (cut / "tables" / name).read_bytes() == (tmp_path / "whole" / "tables" / name).read_bytes()


def test_reproduce__what_is_done_is_not_run_again_wherever_it_is(run: Run, data: Path) -> None:
    command = ("reproduce", "8", *ONE_DATASET)
    assert started(run(*command)) == 4
    before = read_table(data)
    pretraining = next((data / "runs").glob("pretrain-*-strategy-uniform-*"))
    pretraining.rename(data / "runs" / "mine")
    again = run(*command)
    assert (again.code, started(again)) == (0, 0)
    assert read_table(data) == before


def test_reproduce__one_missing_store_does_not_lose_the_other_columns(run: Run, data: Path) -> None:
    outcome = run("reproduce", "8", "--scale", "small", "--device", "cpu")
    assert outcome.code == 1
    cells = {(cell.row, cell.column): cell for cell in read_table(data).cells}
    assert {place: cell.state for place, cell in cells.items()} == {
        (0, 0): "done",
        (0, 1): "failed",
        (1, 0): "done",
        (1, 1): "failed",
    }
    assert "mampctl ingest ntu120" in outcome.out
    assert "What failed" in (data / "tables" / "table-8-small.md").read_text()


def test_reproduce__losses_of_every_epoch(run: Run, data: Path) -> None:
    outcome = run("reproduce", "fig-loss", "--scale", "small", "--device", "cpu", "--json")
    assert outcome.code == 0, outcome.err
    (shown,) = json.loads(outcome.out)
    curves = {curve["method"]: curve["loss"] for curve in shown["curves"]}
    assert {method: len(losses) for method, losses in curves.items()} == {"MAMP": 10, "SkeletonMAE*": 10}
    lines = (data / "tables" / "fig-loss-small-curves.csv").read_text().splitlines()
    assert lines[0] == "method,run,epoch,loss"
    assert [float(line.split(",")[3]) for line in lines[1:11]] == curves["MAMP"]
    assert shown["cells"][0]["obtained"]["mean"] == curves["MAMP"][-1]


def test_reproduce__dry_run_shows_the_plan_and_makes_nothing(run: Run, data: Path) -> None:
    before = sorted(data.iterdir())
    outcome = run("reproduce", "8", "--scale", "small", "--dry-run", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert sum(line.startswith(("pretrain-", "linear-")) for line in outcome.out.splitlines()) == 8
    assert "8 of 8 runs to do" in outcome.out
    assert "an estimate" in outcome.out
    assert "missing" in outcome.out
    assert "mampctl ingest ntu120" in outcome.out
    assert sorted(data.iterdir()) == before


def test_reproduce__draws_are_made_where_they_are_missing(
    run: Run, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = run("reproduce", "5", *ONE_DATASET, "--dry-run", "--json")
    assert len(json.loads(plan.out)["preview"]["lines"]) == 32
    from mamp_trainer.reproduce.catalog import DataCatalog
    from mamp_trainer.reproduce.plan import make_plan
    from mampctl.commands.reproduce import make_manifests

    recipes = [run.recipe for run in make_plan("5", "small").runs if "xsub-10pct" in run.name]
    make_manifests(recipes, DataCatalog(data))
    assert len([text for text in caplog.messages if text.startswith("draw ")]) == 5
    assert len(list(data.glob("ntu60.xsub.0.1-uniform-seed0-draw?.json"))) == 5
    assert all(DataCatalog(data).split(recipe).counts.train == 2 for recipe in recipes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("11",), "no table '11'"), (("8", "--only", "nwucla/xview"), "no such column"), (("8", "--seeds", "0"), "seeds")],
)
def test_reproduce__what_cannot_be_planned_is_a_usage_error(run: Run, arguments: tuple[str, ...], message: str) -> None:
    outcome = run("reproduce", *arguments)
    assert outcome.code == 2
    assert message in outcome.err
