"""`mampctl report` and `mampctl show`: what they write, what they say, what they refuse."""

import builtins
import json
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mamp_trainer.analysis.run_analysis import analyse_run
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.runtime import RunContext
from tests.cli.conftest import Run
from tests.paths import GOLDEN
from tests.trainer.run_folders import write_recipe
from tests.trainer.runs import evaluate_encoder, linear_recipe, pretrain_recipe, write_toy_store

WITHOUT_TORCH = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "mamp_trainer"):
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
from mampctl.runtime.main import main
sys.exit(main())
"""
CLIP = "S001C001P008R002A042"


@pytest.fixture
def store(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "ntu60.zarr"
    assert run("ingest", "ntu60", "--raw", GOLDEN / "ntu60" / "raw.zip", "--out", path).code == 0
    return path


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Let a package be missing."""
    plain = builtins.__import__

    def refuse(name: str, *rest: object) -> object:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_report__writes_one_page_and_says_what_stands_out(run: Run, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "report.html"
    outcome = run("report", store, "--out", out)
    assert outcome.code == 0
    assert "Teleporting joints" in outcome.out
    assert f"{out}: 28 clips" in outcome.out
    assert f"next: mampctl show {store} S001" in outcome.out
    assert out.read_text().startswith("<!doctype html>")


def test_report__as_json(run: Run, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    result = json.loads(run("report", store, "--out", out, "--json").out)
    assert result["file"] == str(out)
    assert result["bytes"] == out.stat().st_size
    assert set(result["outliers"]) == {"jumps", "still", "bones"}


def test_report__replaces_a_report(run: Run, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("old")
    assert run("report", store, "--out", out).code == 0
    assert "old" not in out.read_text()[:100]
    assert list(tmp_path.glob(".*.partial")) == []


def test_report__without_its_extra_names_it_before_reading(
    run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "plotly")
    outcome = run("report", store, "--out", tmp_path / "report.html")
    assert outcome.code == 1
    assert "pip install 'mampctl[report]'" in outcome.err
    assert "survey" not in outcome.err


def test_report__a_place_that_cannot_be_written(run: Run, store: Path, tmp_path: Path) -> None:
    outcome = run("report", store, "--out", tmp_path)
    assert outcome.code == 1
    assert "There is a folder of that name" in outcome.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, a pre-training and a linear evaluation on it, and one that has only begun."""
    folder = tmp_path_factory.mktemp("trained")
    store = write_toy_store(folder)
    pretrain(pretrain_recipe(), store, RunContext(folder / "mamp", device="cpu"))
    evaluate_encoder(linear_recipe(), store, folder / "probe", encoder_from=folder / "mamp", device="cpu")
    for name in ("mamp", "probe"):
        analyse_run(folder / name, store, "cpu")
    write_recipe(folder / "begun", pretrain_recipe(seed=1))
    return folder


def page_data(page: Path) -> list[dict[str, Any]]:
    text = page.read_text().partition('<script type="application/json" id="data">')[2].partition("</script>")[0]
    runs: list[dict[str, Any]] = json.loads(text)["runs"]
    return runs


def test_report__of_runs(run: Run, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs.html"
    folders = [trained / name for name in ("mamp", "probe", "begun")]
    outcome = run("report", *folders, "--out", out)
    assert outcome.code == 0, outcome.err
    assert f"{out}: 3 runs" in outcome.out
    assert outcome.err == ""
    mamp, probe, begun = page_data(out)
    assert [run_data["state"] for run_data in (mamp, probe, begun)] == ["complete", "complete", "incomplete"]
    assert (mamp["differs"], begun["differs"]) == (["seed 0"], ["seed 1"])
    assert len(mamp["epochs"]["loss"]) == 3
    assert sum(map(sum, probe["confusion"]["matrix"])) == 7
    assert probe["confusion"]["names"][0] == "A001 drink water"
    assert mamp["features"]["total"] == probe["features"]["total"] == 7
    assert len(mamp["reconstruction"]["examples"]) == 6
    assert "no checkpoint" in begun["features"]["missing"]


def test_report__of_runs_needs_neither_torch_nor_the_trainer(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs.html"
    arguments = ["report", trained / "mamp", trained / "probe", "--out", out]
    command = [sys.executable, "-c", WITHOUT_TORCH, *arguments]
    outcome = subprocess.run(command, check=False, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    mamp, probe = page_data(out)
    assert len(probe["epochs"]["top1"]) == 3
    assert sum(map(sum, probe["confusion"]["matrix"])) == 7
    assert len(mamp["reconstruction"]["examples"]) == 6


def test_report__of_a_run_without_an_analysis_says_what_makes_one(run: Run, trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained / "probe", tmp_path / "run"))
    (folder / "analysis.json").unlink()
    assert run("report", folder, "--out", tmp_path / "runs.html").code == 0
    (data,) = page_data(tmp_path / "runs.html")
    assert len(data["epochs"]["top1"]) == 3
    for part in ("confusion", "features"):
        assert f"run `mampctl analyse {folder}`" in data[part]["missing"]


def test_report__of_a_run_whose_analysis_is_of_other_weights(run: Run, trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained / "probe", tmp_path / "run"))
    shutil.copy(trained / "mamp" / "analysis.json", folder)
    outcome = run("report", folder, "--out", tmp_path / "runs.html")
    assert outcome.code == 0
    assert "made from other weights" in outcome.err
    (data,) = page_data(tmp_path / "runs.html")
    assert f"mampctl analyse {folder}" in data["notes"][0]


def test_report__of_a_run_whose_analysis_is_damaged(run: Run, trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained / "probe", tmp_path / "run"))
    (folder / "analysis.json").write_text('{"format_version": 1}')
    outcome = run("report", folder, "--out", tmp_path / "runs.html")
    assert outcome.code == 1
    assert "missing key: weights" in outcome.err
    assert f"mampctl analyse {folder}" in outcome.err


def test_report__of_a_run_whose_metrics_are_damaged(run: Run, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "mamp", tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").write_text("damaged\n")
    outcome = run("report", tmp_path / "run", "--out", tmp_path / "runs.html")
    assert outcome.code == 1
    assert f"{tmp_path / 'run' / 'metrics.jsonl'}, line 1" in outcome.err
    assert not (tmp_path / "runs.html").exists()


def test_report__of_a_complete_run_whose_metrics_are_not_its_own(run: Run, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "mamp", tmp_path / "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    text = metrics.read_text()
    for changed in (text.replace('"loss": ', '"loss": 1'), "".join(text.splitlines(keepends=True)[:-1]) + "{}"):
        metrics.write_text(changed)
        outcome = run("report", tmp_path / "run", "--out", tmp_path / "runs.html")
        assert outcome.code == 1
        assert str(metrics) in outcome.err
        assert not (tmp_path / "runs.html").exists()
    metrics.unlink()  # as the remedy says
    outcome = run("report", tmp_path / "run", "--out", tmp_path / "runs.html")
    assert outcome.code == 0
    assert "metrics.jsonl is gone" in outcome.err


def test_report__of_runs_and_a_store_together(run: Run, trained: Path, tmp_path: Path) -> None:
    outcome = run("report", trained / "mamp", trained / "toy.zarr", "--out", tmp_path / "runs.html")
    assert outcome.code == 2
    assert "toy.zarr is not the folder of a run" in outcome.err


def test_report__of_two_stores(run: Run, trained: Path, tmp_path: Path) -> None:
    store = trained / "toy.zarr"
    assert "a report of stores takes one store" in run("report", store, store, "--out", tmp_path / "runs.html").err


def test_show__prints_a_summary(run: Run, store: Path) -> None:
    outcome = run("show", store, CLIP)
    assert outcome.code == 0
    assert "class      A042, staggering, " in outcome.out
    assert "splits     xsub train, xview test" in outcome.out
    assert "676 of 750 tokens masked at ratio 0.9, τ 0.8" in outcome.out
    assert f"next: mampctl show {store} {CLIP} --html clip.html" in outcome.out


def test_show__as_json(run: Run, store: Path) -> None:
    summary = json.loads(run("show", store, CLIP, "--json").out)
    assert (summary["clip"], summary["class"], summary["action"]) == (CLIP, "A042", "staggering")
    assert len(summary["segment_intensity"][0]) == 30
    assert summary["files"] == {}


def test_show__writes_page_and_pictures(run: Run, store: Path, tmp_path: Path) -> None:
    page, gif, png = (tmp_path / f"clip.{suffix}" for suffix in ("html", "gif", "png"))
    outcome = run("show", store, CLIP, "--html", page, "--gif", gif, "--png", png)
    assert [line.partition(": ")[0] for line in outcome.out.splitlines()] == [str(page), str(gif), str(png)]
    assert CLIP in page.read_text()
    assert page.stat().st_size < 200_000
    still, moving = (Image.open(BytesIO(path.read_bytes())) for path in (png, gif))
    assert (still.format, moving.format, still.size == moving.size) == ("PNG", "GIF", True)


def test_show__pages_need_no_extra(run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "plotly")
    assert run("show", store, CLIP, "--html", tmp_path / "clip.html").code == 0


def test_show__unknown_clip_names_some_that_are_there(run: Run, store: Path) -> None:
    outcome = run("show", store, "S001C001P001R001A999")
    assert outcome.code == 1
    assert "no clip 'S001C001P001R001A999' among its 28" in outcome.err
    assert "S001C0" in json.loads(outcome.err)["remedy"]
