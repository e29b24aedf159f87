"""`build-splits --fraction`: draws of the training clips, from the command line to what a training reads."""

import json
from pathlib import Path

import numpy as np
import pytest

from mamp_schemas.errors import ManifestError
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.splits import Subset
from tests.cli.conftest import Run
from tests.paths import GOLDEN
from tests.trainer.stores import Clip, write_manifest, write_store

LABELS = [number % 3 for number in range(20)]
HALF = Subset(fraction=0.5)


def make_store(folder: Path, labels: list[int] = LABELS) -> Path:
    """Write a store whose clips but the last two are of a subject that trains in xsub."""
    joints = np.ones((1, 2, 25, 3), np.float32)
    last = len(labels) - 2
    return write_store(
        folder / "ntu60.zarr",
        [
            Clip(id=f"clip{number:03d}", joints=joints, label=label, subject=1 if number < last else 3)
            for number, label in enumerate(labels)
        ],
    )


def draw(run: Run, store: Path, *options: object) -> list[dict[str, object]]:
    outcome = run("build-splits", "--protocol", "xsub", "--store", store, "--fraction", "0.5", "--json", *options)
    assert outcome.code == 0, outcome.err
    drawn: list[dict[str, object]] = json.loads(outcome.out)
    return drawn


def test_build_splits__draws_five_and_the_whole_they_are_from(run: Run, tmp_path: Path) -> None:
    store = make_store(tmp_path)
    drawn = draw(run, store)
    assert sorted(path.name for path in tmp_path.glob("*.json")) == [
        *(f"ntu60.xsub.0.5-uniform-seed0-draw{number}.json" for number in range(1, 6)),
        "ntu60.xsub.json",
    ]
    opened = open_store(store)
    for number, shown in enumerate(drawn, start=1):
        manifest = read_manifest(opened, "xsub", HALF.replaced(draw=number))
        assert len(manifest.train) == 9
        assert manifest.test == ("clip018", "clip019")
        labels = [LABELS[int(name[4:])] for name in manifest.train]
        assert shown["labels"] == {str(label): labels.count(label) for label in range(3)}


def test_build_splits__draws_are_the_same_every_time(run: Run, tmp_path: Path) -> None:
    stores = [make_store(tmp_path / name) for name in ("a", "b")]
    options = ("--sampling", "stratified", "--seed", 4, "--draws", 2)
    names = ["ntu60.xsub.0.5-stratified-seed4-draw1.json", "ntu60.xsub.0.5-stratified-seed4-draw2.json"]
    drawn = []
    for store in stores:
        draw(run, store, *options)
        drawn.append([(store.parent / name).read_bytes() for name in names])
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[0][1]


def test_build_splits__a_class_without_a_clip_is_named(run: Run, tmp_path: Path) -> None:
    store = make_store(tmp_path, [0] * 9 + [5, 7] + [0, 0])
    outcome = run("build-splits", "--protocol", "xsub", "--store", store, "--fraction", "0.1", "--draws", "1")
    assert outcome.code == 0
    assert "draw 1 has no clip of 2 of the 3 classes, labels 5, 7 (counted from 0)" in outcome.err
    assert "of 11 training clips of 3 classes" in outcome.out


def test_build_splits__stratified_names_no_class(run: Run, tmp_path: Path) -> None:
    store = make_store(tmp_path, [0] * 9 + [5, 7] + [0, 0])
    command = ("build-splits", "--protocol", "xsub", "--store", store, "--fraction", "0.1")
    assert "warning" not in run(*command, "--sampling", "stratified").err


def test_build_splits__draws_from_the_manifest_that_is_there(run: Run, tmp_path: Path) -> None:
    store = make_store(tmp_path)
    write_manifest(store, [f"clip{number:03d}" for number in range(4)], ["clip004"])
    draw(run, store, "--draws", "1")
    manifest = read_manifest(open_store(store), "xsub", HALF)
    assert len(manifest.train) == 2
    assert manifest.test == ("clip004",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--draws", "3"), "Add, say, --fraction 0.01"),
        (("--sampling", "uniform"), "Add, say, --fraction 0.01"),
        (("--fraction", "1"), "expected a share between 0 and 1"),
        (("--fraction", "0"), "expected a share between 0 and 1"),
        (("--fraction", "nan"), "expected a share between 0 and 1"),
        (("--fraction", "0.01"), "less than one clip"),
        (("--fraction", "0.5", "--sampling", "odd"), "odd"),
    ],
)
def test_build_splits__what_cannot_be_drawn_is_a_usage_error(
    run: Run, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    outcome = run("build-splits", "--protocol", "xsub", "--store", make_store(tmp_path), *options)
    assert outcome.code == 2
    assert message in outcome.err
    assert not list(tmp_path.glob("*draw*"))


def test_read_manifest__refuses_a_draw_from_another_manifest(run: Run, tmp_path: Path) -> None:
    store = make_store(tmp_path)
    draw(run, store, "--draws", "7", "--seed", "3")
    write_manifest(store, ["clip000"], ["clip001"])
    with pytest.raises(ManifestError, match="was drawn from a manifest of digest") as caught:
        read_manifest(open_store(store), "xsub", Subset(fraction=0.5, seed=3, draw=7))
    assert "--fraction 0.5 --sampling uniform --seed 3 --draws 7" in caught.value.remedy


def test_read_manifest__refuses_a_draw_under_another_ones_name(run: Run, tmp_path: Path) -> None:
    store = make_store(tmp_path)
    draw(run, store, "--draws", "1")
    drawn = next(tmp_path.glob("*draw1*"))
    drawn.rename(drawn.with_name(drawn.name.replace("draw1", "draw2")))
    with pytest.raises(ManifestError, match=r"draw=1.*expected .*draw=2"):
        read_manifest(open_store(store), "xsub", HALF.replaced(draw=2))


def test_read_manifest__a_missing_draw_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no split manifest for a subset of 'xsub'") as caught:
        read_manifest(open_store(make_store(tmp_path)), "xsub", HALF)
    assert "--fraction 0.5 --sampling uniform --seed 0 --draws 5" in caught.value.remedy


def test_build_splits__a_store_of_any_name_counts_as_one_of_several(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMPCTL_DATA", str(tmp_path))
    raw = GOLDEN / "ntu60" / "raw.zip"
    assert run("ingest", "ntu60", "--raw", raw, "--out", tmp_path / "my own.zarr", "--workers", 0).code == 0
    assert run("build-splits", "--protocol", "xsub").code == 0
    assert run("ingest", "ntu60", "--raw", raw, "--workers", 0).code == 0
    outcome = run("build-splits", "--protocol", "xsub")
    assert outcome.code == 2
    assert "my own.zarr, ntu60.zarr" in outcome.err
    assert f"--store '{tmp_path / 'my own.zarr'}'" in outcome.err
