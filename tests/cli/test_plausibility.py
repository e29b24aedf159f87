"""What `ingest`, `import` and `info` say of the sizes of bodies, and which recordings are refused for them."""

import json
from pathlib import Path

import numpy as np
import pytest

from mamp_schemas.io.store_reader import open_store
from tests.cli.conftest import Run
from tests.paths import GOLDEN
from tests.pipeline.people import person

LAYOUT = "name: People\nskeleton: kinect_v1\nfiles: {format: npy, order: TVC}\nunits: metres\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layout.yaml").write_text(LAYOUT)
    (tmp_path / "raw").mkdir()
    for number in range(5):
        np.save(tmp_path / "raw" / f"take{number}.npy", person(seed=number))
    return tmp_path


def ingest(run: Run, out: str, *, workers: int = 0) -> object:
    return run("ingest", "custom", "--layout", "layout.yaml", "--raw", "raw", "--out", out, "--workers", workers)


@pytest.mark.usefixtures("place")
def test_ingest__wrong_units_are_refused_once_and_the_remedy_leads_out(run: Run) -> None:
    Path("layout.yaml").write_text(LAYOUT.replace("metres", "millimetres"))
    outcome = ingest(run, "s.zarr")
    assert outcome.code == 1
    assert outcome.err.count("5 of 5 recordings cannot be as layout 'People' describes them") == 1
    assert "these look like metres: `units: metres`" in outcome.err
    assert sorted(path.name for path in Path().iterdir()) == ["layout.yaml", "raw"]
    Path("layout.yaml").write_text(LAYOUT)
    assert ingest(run, "s.zarr").code == 0


@pytest.mark.usefixtures("place")
def test_ingest__the_key_that_lifts_the_check(run: Run) -> None:
    Path("layout.yaml").write_text(LAYOUT.replace("metres", "millimetres") + "accept: [size]\n")
    outcome = ingest(run, "s.zarr")
    assert outcome.code == 0
    assert "the median stature is 0.0017" in outcome.err


@pytest.mark.usefixtures("place")
def test_ingest__a_single_implausible_file_is_quarantined(run: Run) -> None:
    np.save("raw/take0.npy", 1000 * person())
    outcome = ingest(run, "s.zarr")
    assert outcome.code == 0
    assert "quarantined raw/take0.npy: implausible: no person in metres measures that" in outcome.out
    assert "these look like millimetres" in outcome.out
    assert len(open_store(Path("s.zarr")).ids) == 4


@pytest.mark.usefixtures("place")
def test_ingest__sizes_and_hash_are_the_same_with_workers_and_after_an_append(run: Run) -> None:
    assert ingest(run, "one.zarr").code == 0
    assert ingest(run, "two.zarr", workers=2).code == 0
    one, two = (open_store(Path(name)).metadata for name in ("one.zarr", "two.zarr"))
    assert (one.sizes, one.content_hash) == (two.sizes, two.content_hash)
    for number in range(3):
        Path(f"raw/take{number}.npy").rename(f"take{number}.npy")
    assert ingest(run, "three.zarr").code == 0
    for number in range(3):
        outcome = run(
            "ingest",
            "custom",
            "--layout",
            "layout.yaml",
            "--raw",
            f"take{number}.npy",
            "--out",
            "three.zarr",
            "--append",
        )
        assert outcome.code == 0
    assert open_store(Path("three.zarr")).metadata.sizes == one.sizes


@pytest.mark.usefixtures("place")
def test_info__says_what_bodies_measure(run: Run) -> None:
    outcome = ingest(run, "s.zarr")
    assert "bodies: median stature 1.7" in outcome.err
    assert "bodies        median stature 1.7" in run("info", "s.zarr").out


@pytest.mark.usefixtures("place")
def test_info__counts_clips_whose_second_body_is_zeros(run: Run) -> None:
    Path("layout.yaml").write_text(LAYOUT.replace("TVC", "MTVC") + "bodies: 2\n")
    for number in range(5):
        both = np.full((2, 20, 20, 3), np.nan)
        both[0, :10] = person(frames=10)
        both[1, 10 if number < 2 else 5 :] = person(frames=10 if number < 2 else 15)
        np.save(f"raw/take{number}.npy", both)
    assert ingest(run, "s.zarr").code == 0
    assert open_store(Path("s.zarr")).columns["bodies"].tolist() == [2] * 5
    out = run("info", "s.zarr").out
    assert "2 clips whose second body is zeros throughout (several ids that joined the first body)" in out


@pytest.mark.usefixtures("place")
def test_ingest__bodies_that_have_no_slot_are_counted_and_said(run: Run) -> None:
    Path("layout.yaml").write_text(LAYOUT.replace("TVC", "MTVC"))
    for number in range(5):
        both = np.full((2, 20, 20, 3), np.nan)
        both[0] = person(frames=20)
        both[1, : 20 if number < 3 else 0] = person(frames=20 if number < 3 else 0) * 0.9
        if number == 0:  # the tracker gave one person a second id
            both[0, 12:], both[1, :12] = np.nan, np.nan
        np.save(f"raw/take{number}.npy", both)
    outcome = ingest(run, "s.zarr")
    assert outcome.code == 0
    clips, frames = (
        "3 clips with more bodies than the layout's `bodies`",
        "8 frames in which only bodies were seen that",
    )
    for text in (outcome.err, run("info", "s.zarr").out):
        assert clips in text
        assert frames in text


def test_import__wrong_units_are_said_and_not_refused(run: Run, tmp_path: Path) -> None:
    outcome = run("ingest", "ntu60", "--raw", GOLDEN / "ntu60" / "raw.zip", "--out", tmp_path / "s.zarr")
    assert "bodies: median stature 1." in outcome.err
    assert run("build-splits", "--protocol", "xsub", "--store", tmp_path / "s.zarr").code == 0
    file = tmp_path / "x.npz"
    assert run("export", "npz", "--store", tmp_path / "s.zarr", "--protocol", "xsub", "--out", file).code == 0
    with np.load(file) as arrays:
        np.savez(tmp_path / "mm.npz", **{key: arrays[key] * 1000 if key[0] == "x" else arrays[key] for key in arrays})
    outcome = run("import", "npz", tmp_path / "mm.npz", "--protocol", "xsub", "--out", tmp_path / "mm.zarr", "--json")
    assert outcome.code == 0
    assert "check the units" in outcome.err
    assert json.loads(outcome.out)["sizes"]["clips"] == 28


@pytest.mark.usefixtures("place")
def test_ingest__the_suffix_that_is_advised_reads_the_files(run: Run) -> None:
    for path in Path("raw").iterdir():
        path.rename(path.with_suffix(".arr"))
    outcome = ingest(run, "s.zarr")
    assert outcome.code == 1
    assert "put `suffix: .arr` into its files" in outcome.err
    Path("layout.yaml").write_text(LAYOUT.replace("order: TVC", "order: TVC, suffix: .arr"))
    assert ingest(run, "s.zarr").code == 0
    assert len(open_store(Path("s.zarr")).ids) == 5
