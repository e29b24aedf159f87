"""`mampctl ingest` to `export npz`: the golden arrays bit for bit, quarantine, and errors that say what to do."""

import gzip
import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mamp_schemas.io.store_reader import open_store
from tests.cli.conftest import Run
from tests.factories import random_ntu_text
from tests.paths import GOLDEN, SHARED_DATA

needs_data = pytest.mark.skipif(not SHARED_DATA.exists(), reason="needs the real data, which is not in the repository")


def unzip(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder


def ingest_and_split(run: Run, dataset: str, raw: Path, store: Path, protocol: str) -> None:
    assert run("ingest", dataset, "--raw", raw, "--out", store).code == 0
    assert run("build-splits", "--protocol", protocol, "--store", store).code == 0


def padded(joints: np.ndarray) -> np.ndarray:
    whole = np.zeros((300, joints.shape[1]), dtype=np.float32)
    whole[: len(joints)] = joints
    return whole


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("unpacked", [False, True], ids=["zip", "folder"])
@pytest.mark.parametrize(("dataset", "protocol"), [("ntu60", "xsub"), ("ntu60", "xview"), ("ntu120", "xset")])
def test_ingest__golden_arrays_and_splits_bit_for_bit(
    run: Run, tmp_path: Path, dataset: str, protocol: str, unpacked: bool
) -> None:
    raw = GOLDEN / dataset / "raw.zip"
    store, out = tmp_path / f"{dataset}.zarr", tmp_path / "out.npz"
    ingest_and_split(run, dataset, unzip(raw, tmp_path / "raw") if unpacked else raw, store, protocol)
    assert run("export", "npz", "--store", store, "--protocol", protocol, "--out", out).code == 0
    expected, exported = read_arrays(GOLDEN / dataset / "expected.npz"), read_arrays(out)
    splits = json.loads((GOLDEN / dataset / "splits.json").read_text())
    for side in ("train", "test"):
        names = exported[f"names_{side}"].tolist()
        assert names == splits[protocol][side]
        labels = np.array([int(name[-3:]) - 1 for name in names])
        np.testing.assert_array_equal(exported[f"y_{side}"].argmax(axis=1), labels)
        assert exported[f"y_{side}"].shape == (len(names), {"ntu60": 60, "ntu120": 120}[dataset])
        for name, joints in zip(names, exported[f"x_{side}"], strict=True):
            assert joints.tobytes() == padded(expected[name]).tobytes(), name


@needs_data
def test_ingest__real_files_have_the_golden_hashes(run: Run, tmp_path: Path) -> None:
    store, out = tmp_path / "ntu60.zarr", tmp_path / "out.npz"
    ingest_and_split(run, "ntu60", SHARED_DATA / "ntu_sample.zip", store, "xsub")
    assert run("export", "npz", "--store", store, "--protocol", "xsub", "--out", out).code == 0
    exported = read_arrays(out)
    found = {
        name: joints
        for side in ("train", "test")
        for name, joints in zip(exported[f"names_{side}"].tolist(), exported[f"x_{side}"], strict=True)
    }
    expected = json.loads((GOLDEN / "ntu_sample_expected.json").read_text())
    assert found.keys() == expected.keys()
    for name, clip in expected.items():
        joints = found[name][: clip["frames"]]
        assert hashlib.sha256(joints.tobytes()).hexdigest()[:16] == clip["sha256"], name
        assert not found[name][clip["frames"] :].any()


@needs_data
def test_ingest__malformed_files_are_quarantined_with_their_reasons(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "ntu60.zarr"
    outcome = run("ingest", "ntu60", "--raw", SHARED_DATA / "ntu_malformed.zip", "--out", store, "--strict", "--json")
    assert outcome.code == 3
    entries = {entry["file"][-14:-9]: entry for entry in json.loads(outcome.out)["quarantined"]}
    assert (entries["1A001"]["line"], entries["1A002"]["line"]) == (3, 6)
    assert "1 field" in entries["1A001"]["reason"]
    assert "13 fields" in entries["1A002"]["reason"]


@needs_data
def test_ingest__fails_where_no_clip_is_left(run: Run, tmp_path: Path) -> None:
    outcome = run("ingest", "ntu60", "--raw", SHARED_DATA / "ntu_malformed.zip", "--out", tmp_path / "s.zarr")
    assert outcome.code == 1
    assert json.loads(outcome.err.splitlines()[-1])["text"].startswith("no clip is left: all ")


@needs_data
def test_ingest__malformed_files_do_not_stop_the_rest(run: Run, tmp_path: Path) -> None:
    raw = unzip(SHARED_DATA / "ntu_sample.zip", tmp_path / "raw")
    with zipfile.ZipFile(SHARED_DATA / "ntu_malformed.zip") as archive:
        archive.extract("S001C001P001R001A002.skeleton", raw)
    outcome = run("ingest", "ntu60", "--raw", raw, "--out", tmp_path / "ntu60.zarr")
    assert outcome.code == 0
    assert "12 clips" in outcome.out
    assert "1 file quarantined" in outcome.out
    assert "line 6" in outcome.out


def test_ingest__second_run_changes_nothing(run: Run, tmp_path: Path) -> None:
    store, raw = tmp_path / "ntu60.zarr", GOLDEN / "ntu60" / "raw.zip"
    assert run("ingest", "ntu60", "--raw", raw, "--out", store).code == 0
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    outcome = run("ingest", "ntu60", "--raw", raw, "--out", store)
    assert outcome.code == 0
    assert "nothing to do" in outcome.err
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_ingest__refuses_a_store_of_other_input(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "ntu60.zarr"
    assert run("ingest", "ntu60", "--raw", GOLDEN / "ntu60" / "raw.zip", "--out", store).code == 0
    outcome = run("ingest", "ntu60", "--raw", GOLDEN / "ntu120" / "raw.zip", "--out", store)
    assert outcome.code == 1
    assert "a finished store of other input" in outcome.err
    assert "Choose another --out" in outcome.err


def test_ingest__an_edited_file_of_the_same_size_is_other_input(run: Run, tmp_path: Path) -> None:
    raw, store = unzip(GOLDEN / "ntu60" / "raw.zip", tmp_path / "raw"), tmp_path / "ntu60.zarr"
    assert run("ingest", "ntu60", "--raw", raw, "--out", store).code == 0
    edited = raw / "S015C001P029R001A030.skeleton"
    edited.write_bytes(edited.read_bytes().replace(b"0.1", b"0.2", 1))
    outcome = run("ingest", "ntu60", "--raw", raw, "--out", store)
    assert outcome.code == 1
    assert "a finished store of other input" in outcome.err


def test_ingest__never_overwrites_a_folder_it_did_not_make(run: Run, tmp_path: Path) -> None:
    precious = tmp_path / "home" / "thesis.tex"
    precious.parent.mkdir()
    precious.write_text("years of work")
    outcome = run("ingest", "ntu60", "--raw", GOLDEN / "ntu60" / "raw.zip", "--out", precious.parent)
    assert outcome.code == 1
    assert "Choose another --out" in outcome.err
    assert precious.read_text() == "years of work"


def test_ingest__folder_and_zip_give_the_same_content(run: Run, tmp_path: Path) -> None:
    raw = GOLDEN / "ntu60" / "raw.zip"
    hashes = []
    for name, source in (("zip", raw), ("folder", unzip(raw, tmp_path / "raw"))):
        outcome = run("ingest", "ntu60", "--raw", source, "--out", tmp_path / f"{name}.zarr", "--json")
        hashes.append(json.loads(outcome.out)["content_hash"])
    assert hashes[0] == hashes[1]


def test_ingest__exclude_list_leaves_clips_out(run: Run, tmp_path: Path) -> None:
    names = tmp_path / "missing.txt"
    names.write_text("Samples with missing skeletons:\n\nS001C001P008R002A042\nS002C002P039R002A013\n")
    outcome = run(
        "ingest",
        "ntu60",
        "--raw",
        GOLDEN / "ntu60" / "raw.zip",
        "--out",
        tmp_path / "s.zarr",
        "--exclude",
        names,
        "--json",
    )
    counts = json.loads(outcome.out)["counts"]
    assert (counts["clips"], counts["excluded"]) == (26, 2)


def test_ingest__files_of_ntu120_are_left_out_of_ntu60(run: Run, tmp_path: Path) -> None:
    outcome = run("ingest", "ntu60", "--raw", GOLDEN / "ntu120" / "raw.zip", "--out", tmp_path / "s.zarr", "--json")
    counts = json.loads(outcome.out)["counts"]
    assert counts["clips"] + counts["foreign"] == 28
    assert counts["foreign"] > 0


def test_ingest__files_with_numbers_that_the_dataset_does_not_have_are_left_out(run: Run, tmp_path: Path) -> None:
    raw = unzip(GOLDEN / "ntu60" / "raw.zip", tmp_path / "raw")
    first = min(raw.rglob("*.skeleton"))
    for name in ("S001C004P001R001A001", "S001C001P041R001A001", "S001C001P001R003A001", "S018C001P001R001A001"):
        shutil.copy(first, raw / f"{name}.skeleton")
    outcome = run("ingest", "ntu60", "--raw", raw, "--out", tmp_path / "s.zarr")
    assert "4 files with names of NTU RGB+D 60's form are not its clips: left out" in outcome.err
    assert "S001C001P001R003A001.skeleton: replication 3, NTU RGB+D 60 has 1 to 2" in outcome.err
    assert "4 files of another dataset" in run("info", tmp_path / "s.zarr").out
    ids = open_store(tmp_path / "s.zarr").ids
    assert len(ids) == 28
    assert "S001C001P041R001A001" not in ids


def test_ingest__what_is_not_read_is_listed(run: Run, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    text = random_ntu_text(0, frames=3)
    for name in (
        "S002C001P003R001A003.skeleton",
        "s002c001p003r001a005.skeleton",
        "S002C001P003R001A004 (1).skeleton",
        "S002C001P003R001A006.skeleton.txt",
        "S2C1P3R1A7.skeleton",
    ):
        (raw / name).write_bytes(text)
    (raw / "S002C001P003R001A008.skeleton.gz").write_bytes(gzip.compress(text))
    (raw / "README.txt").write_text("clips")
    (tmp_path / "named.skeleton").write_bytes(text)
    store = tmp_path / "s.zarr"
    outcome = run("ingest", "ntu60", "--raw", raw, "--raw", tmp_path / "named.skeleton", "--out", store, "--workers", 0)
    assert outcome.code == 0, outcome.err
    assert open_store(store).ids == [f"S002C001P003R001A00{action}" for action in (3, 5, 8)]
    shown = run("info", store).out
    for text_shown in (outcome.out, shown):
        for name in ("A004 (1).skeleton", "A006.skeleton.txt", "S2C1P3R1A7.skeleton", "named.skeleton"):
            assert name in text_shown
    assert "1 file quarantined, 3 left out" in outcome.out
    assert "3 files with a name like that of raw files, 1 other file" in shown
    metadata = json.loads(run("info", store, "--json").out)
    assert metadata["counts"]["left_out"] == sum(len(group["files"]) for group in metadata["left_out"]) == 3
    (quarantined,) = metadata["quarantined"]
    assert quarantined["file"].endswith("/named.skeleton")


def test_ingest__nothing_but_what_is_left_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "S002C001P003R001A006.skeleton.txt").write_bytes(random_ntu_text(0, frames=3))
    outcome = run("ingest", "ntu60", "--raw", tmp_path, "--out", tmp_path / "s.zarr")
    assert outcome.code == 1
    assert "left out 1: its name ends in '.skeleton.txt'" in outcome.err


def test_ingest__says_what_it_looked_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    outcome = run("ingest", "ntu60", "--raw", tmp_path, "--out", tmp_path / "s.zarr")
    assert outcome.code == 1
    assert "SsssCcccPpppRrrrAaaa.skeleton" in outcome.err
    assert not (tmp_path / "s.zarr").exists()


def test_ingest__missing_raw_path_is_named(run: Run, tmp_path: Path) -> None:
    outcome = run("ingest", "ntu60", "--raw", tmp_path / "nowhere", "--out", tmp_path / "s.zarr")
    assert outcome.code == 1
    assert "nowhere" in outcome.err


def test_ingest__unknown_dataset_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    assert run("ingest", "ntu61", "--raw", tmp_path).code == 2


@needs_data
def test_ingest__nwucla_whole_chain_with_official_counts(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "nwucla.zarr"
    assert run("ingest", "nwucla", "--raw", SHARED_DATA / "nw_ucla.zip", "--out", store).code == 0
    counts = json.loads(run("build-splits", "--protocol", "xview", "--store", store, "--json").out)
    assert (counts["train"], counts["test"]) == (1_020, 464)
    assert run("verify", store).code == 0


def test_ingest__no_staging_is_left(run: Run, tmp_path: Path) -> None:
    run("ingest", "ntu60", "--raw", GOLDEN / "ntu60" / "raw.zip", "--out", tmp_path / "s.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


def test_ingest__default_output_is_the_data_folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMPCTL_DATA", str(tmp_path / "data"))
    outcome = run("ingest", "ntu60", "--raw", GOLDEN / "ntu60" / "raw.zip")
    assert outcome.code == 0
    assert str(tmp_path / "data" / "ntu60.zarr") in outcome.err
    assert run("build-splits", "--protocol", "xsub").code == 0
    shutil.rmtree(tmp_path / "data")
