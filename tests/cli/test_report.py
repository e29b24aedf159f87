"""`mampctl report` and `mampctl show`: what they write, what they say, what they refuse."""

import builtins
import json
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Run
from tests.paths import GOLDEN

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
    assert list(tmp_path.glob("*.part")) == []


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
    assert "A folder stands there" in outcome.err


def test_show__prints_a_summary(run: Run, store: Path) -> None:
    outcome = run("show", store, CLIP)
    assert outcome.code == 0
    assert "class      A042, staggering, " in outcome.out
    assert "sides      xsub train, xview test" in outcome.out
    assert "676 of 750 tokens hidden at ratio 0.9, τ 0.8" in outcome.out
    assert f"next: mampctl show {store} {CLIP} --html clip.html" in outcome.out


def test_show__as_json(run: Run, store: Path) -> None:
    facts = json.loads(run("show", store, CLIP, "--json").out)
    assert (facts["clip"], facts["class"], facts["action"]) == (CLIP, "A042", "staggering")
    assert len(facts["segment_intensity"][0]) == 30
    assert facts["files"] == {}


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
    assert "S001C0" in outcome.err.splitlines()[1]
