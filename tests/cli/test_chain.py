"""The whole chain on the real files: ingest, build-splits, verify, pretrain, linear."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.paths import SHARED_DATA

needs_data = pytest.mark.skipif(not SHARED_DATA.exists(), reason="needs the real data, which is not in the repository")
SHORT = ("--set", "schedule.epochs=1", "--set", "schedule.warmup_epochs=0", "--json")


def run_chain(
    run: Run, folder: Path, dataset: str, raw: str, protocol: str, recipe: str, *more: str
) -> dict[str, object]:
    store, pretrained = folder / f"{dataset}.zarr", folder / "pretrain"
    common = ("--store", store, "--recipe", recipe, *SHORT, *more)
    for arguments in (
        ("ingest", dataset, "--raw", SHARED_DATA / raw, "--out", store),
        ("build-splits", "--protocol", protocol, "--store", store),
        ("verify", store),
        ("train", "pretrain", "--out", pretrained, *common),
    ):
        outcome = run(*arguments)
        assert outcome.code == 0, outcome.err
    outcome = run("train", "linear", "--from", pretrained, "--out", folder / "linear", *common)
    assert outcome.code == 0, outcome.err
    result: dict[str, object] = json.loads(outcome.out)
    return result


@needs_data
def test_chain__on_real_ntu_files(run: Run, tmp_path: Path) -> None:
    result = run_chain(run, tmp_path, "ntu60", "ntu_sample.zip", "xsub", "ntu60-demo", "--set", "batch_size=4")
    assert result["clips"] == 2
    record = json.loads((tmp_path / "linear" / "run.json").read_text())
    store = json.loads(run("info", tmp_path / "ntu60.zarr", "--json").out)
    assert record["store_hash"] == store["content_hash"]


@needs_data
def test_chain__on_nwucla(run: Run, tmp_path: Path) -> None:
    smaller = (
        "--set",
        "model.width=16",
        "--set",
        "model.depth=1",
        "--set",
        "model.heads=2",
        "--set",
        "model.frames=16",
    )
    result = run_chain(run, tmp_path, "nwucla", "nw_ucla.zip", "xview", "nwucla-small", *smaller)
    assert result["clips"] == 464
