"""PKU-MMD from raw files to `export npz`: the golden instances bit for bit, their sides, and what is left out."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.paths import GOLDEN
from tests.pipeline.pku_cases import (
    golden_files,
    label_text,
    list_text,
    make_video,
    video_text,
    write_archive,
    write_files,
)

VIDEO = video_text(make_video(40))


def lay_out(kind: str, dataset: str, folder: Path) -> list[Path]:
    """Lay out the golden raw files in one of the ways users have them; return what to name as --raw."""
    if kind == "one archive":
        return [GOLDEN / dataset / "raw.zip"]
    files = golden_files(dataset)
    if kind == "one folder":
        return [write_files(folder, files)]
    parts = {part: {name: data for name, data in files.items() if name.startswith(part)} for part in ("skel", "label")}
    lists = {"A.txt" if "view" in name else "B.txt": data for name, data in files.items() if name.startswith("cross")}
    labels = write_files(folder / "Label", {name.partition("/")[2]: data for name, data in parts["label"].items()})
    skeletons = write_archive(folder / "Skeleton.zip", parts["skel"])
    return [labels, skeletons, *(write_files(folder, lists) / name for name in lists)]


@pytest.mark.parametrize("kind", ["one archive", "one folder", "folder, archive and renamed lists"])
@pytest.mark.parametrize("dataset", ["pku1", "pku2"])
def test_ingest__golden_instances_labels_and_sides_bit_for_bit(
    run: Run, tmp_path: Path, dataset: str, kind: str
) -> None:
    store = tmp_path / f"{dataset}.zarr"
    raw = [word for path in lay_out(kind, dataset, tmp_path) for word in ("--raw", path)]
    assert run("ingest", dataset, *raw, "--out", store).code == 0
    golden = json.loads((GOLDEN / dataset / "splits.json").read_text())
    with np.load(GOLDEN / dataset / "expected.npz") as file:
        expected = dict(file)
    assert expected.keys() == golden["labels"].keys()
    for protocol, sides in golden["videos"].items():
        out = tmp_path / f"{protocol}.npz"
        assert run("build-splits", "--protocol", protocol, "--store", store).code == 0
        assert run("export", "npz", "--store", store, "--protocol", protocol, "--out", out).code == 0
        with np.load(out) as file:
            exported = dict(file)
        for side, videos in sides.items():
            names = exported[f"names_{side}"].tolist()
            assert names == sorted(name for name in expected if name.partition("_")[0] in videos)
            assert exported[f"y_{side}"].shape == (len(names), 51)
            assert exported[f"y_{side}"].argmax(axis=1).tolist() == [golden["labels"][name] for name in names]
            for name, joints in zip(names, exported[f"x_{side}"], strict=True):
                frames = len(expected[name])
                assert joints[:frames].tobytes() == expected[name].tobytes(), name
                assert not joints[frames:].any()
    assert run("verify", store).code == 0


def test_ingest__content_hash_is_that_of_the_content(run: Run, tmp_path: Path) -> None:
    hashes = set()
    for number, kind in enumerate(("one archive", "folder, archive and renamed lists")):
        raw = [word for path in lay_out(kind, "pku2", tmp_path) for word in ("--raw", path)]
        metadata = json.loads(run("ingest", "pku2", *raw, "--out", tmp_path / f"{number}.zarr", "--json").out)
        hashes.add((metadata["content_hash"], metadata["source"]))
    assert len(hashes) == 1


def test_ingest__a_changed_list_is_other_input(run: Run, tmp_path: Path) -> None:
    files = {"0002-L.txt": VIDEO, "0003-L.txt": VIDEO, "label/0002-L.txt": label_text((1, 0, 9))}
    files |= {"label/0003-L.txt": label_text((1, 0, 9)), "sub.txt": list_text(["0002-L"], ["0003-L"]).encode()}
    write_files(tmp_path / "raw", files)
    store = tmp_path / "pku1.zarr"
    assert run("ingest", "pku1", "--raw", tmp_path / "raw", "--out", store).code == 0
    write_files(tmp_path / "raw", {"sub.txt": list_text(["0003-L"], ["0002-L"])})
    outcome = run("ingest", "pku1", "--raw", tmp_path / "raw", "--out", store)
    assert outcome.code == 1
    assert "a finished store of other input" in outcome.err


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """Return a folder with one sound video and one of each fault."""
    bad_line = b"\n".join([*VIDEO.splitlines()[:7], b"0.1 0.2"])
    return write_files(
        tmp_path / "raw",
        {
            "skeleton/0002-L.txt": VIDEO,
            "label/0002-L.txt": label_text((52, 0, 9), (51, 0, 9), (1, 50, 60), (2, 30, 60)) + b"what\n",
            "skeleton/0003-L.txt": bad_line,
            "label/0003-L.txt": label_text((1, 0, 9)),
            "skeleton/0004-L.txt": VIDEO,
            "label/0005-L.txt": label_text((1, 0, 9)),
            "cross_subject_v9.txt": list_text(["0003-L", "0003-M"], ["0004-L", "0004-M"]),
        },
    )


def test_ingest__faults_are_quarantined_with_file_line_and_reason(run: Run, tmp_path: Path, faulty: Path) -> None:
    outcome = run("ingest", "pku1", "--raw", faulty, "--out", tmp_path / "s.zarr", "--strict", "--json")
    assert outcome.code == 3
    metadata = json.loads(outcome.out)
    assert [(entry["file"], entry["line"], entry["reason"]) for entry in metadata["quarantined"]] == [
        ("raw/label/0002-L.txt", 1, "action 52, expected 1 to 51"),
        ("raw/label/0002-L.txt", 3, "interval 50 to 60 holds no frame of the video's 40"),
        ("raw/label/0002-L.txt", 5, "'what' is not action,start,end,confidence"),
        ("raw/skeleton/0003-L.txt", 8, "2 numbers, expected 150"),
        ("raw/skeleton/0004-L.txt", 0, "no label file of this video was found"),
        ("raw/label/0005-L.txt", 0, "no skeleton file of this video was found"),
    ]
    assert metadata["counts"]["clips"] == 2
    assert metadata["noted"] == {"interval_cut": 1}


def test_info__tells_what_was_noted(run: Run, tmp_path: Path, faulty: Path) -> None:
    run("ingest", "pku1", "--raw", faulty, "--out", tmp_path / "s.zarr")
    out = run("info", tmp_path / "s.zarr").out
    assert "interval_start zero_based" in out
    assert "1 clip whose labelled interval runs beyond the video's end" in out
    assert "tracking_gaps" not in out
    assert "quarantined   4 files (for 6 reasons)" in out


def test_ingest__videos_in_no_list_are_kept_and_said(run: Run, tmp_path: Path, faulty: Path) -> None:
    outcome = run("ingest", "pku1", "--raw", faulty, "--out", tmp_path / "s.zarr")
    assert "no cross-view list in --raw" in outcome.err
    assert "2 videos are in no cross-subject list" in outcome.err


def test_build_splits__no_side_of_any_clip_is_known(run: Run, tmp_path: Path, faulty: Path) -> None:
    run("ingest", "pku1", "--raw", faulty, "--out", tmp_path / "s.zarr")
    outcome = run("build-splits", "--protocol", "xview", "--store", tmp_path / "s.zarr")
    assert outcome.code == 1
    assert "Ingest again with the split list of that protocol among --raw" in outcome.err


def test_build_splits__unlisted_clips_and_absent_official_counts(run: Run, tmp_path: Path) -> None:
    files = {
        f"{kind}/{name}.txt": data
        for name in ("0002-L", "0003-L", "0002-M", "0009-R")
        for kind, data in (("skeleton", VIDEO), ("label", label_text((1, 0, 9))))
    }
    files["cross-view.txt"] = list_text(["0002-M"], ["0002-L", "0003-L"]).encode()
    store = tmp_path / "s.zarr"
    run("ingest", "pku1", "--raw", write_archive(tmp_path / "raw.zip", files), "--out", store)
    outcome = run("build-splits", "--protocol", "xview", "--store", store)
    assert "there are no official counts of PKU-MMD I, xview" in outcome.out
    assert "1 clip in neither split, left out" in outcome.out
    counts = json.loads(run("build-splits", "--protocol", "xview", "--store", store, "--json").out)
    assert (counts["train"], counts["test"], counts["unlisted"], counts["official_train"]) == (1, 2, 1, None)


def test_build_splits__official_counts_of_xsub(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    run("ingest", "pku2", "--raw", GOLDEN / "pku2" / "raw.zip", "--out", store)
    assert "5,332" in run("build-splits", "--protocol", "xsub", "--store", store).out


@pytest.mark.parametrize(("dataset", "line"), [("pku2", "centre 42, interval_start 45"), ("ntu120", "empty_slot 12")])
def test_ingest__corrected_policy_and_the_clips_it_touches(run: Run, tmp_path: Path, dataset: str, line: str) -> None:
    store = tmp_path / "s.zarr"
    raw = GOLDEN / dataset / "raw.zip"
    metadata = json.loads(run("ingest", dataset, "--raw", raw, "--out", store, "--policy", "corrected", "--json").out)
    assert metadata["policy"]["name"] == "corrected"
    out = run("info", store).out
    assert line in out
    assert "by each deviation from paper alone" in out
    assert run("verify", store).code == 0
    paper = json.loads(run("ingest", dataset, "--raw", raw, "--out", tmp_path / "p.zarr", "--json").out)
    assert paper["policy_diff"] == {}
    assert paper["policy_hash"] != metadata["policy_hash"]
    assert run("ingest", dataset, "--raw", raw, "--out", store).code == 1
