"""`mampctl ingest custom` and what follows: the commands and layouts of docs/own-data.md, and what is refused."""

import json
import os
import re
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr

from mamp_pipeline.datasets.clips import RawBodies
from mamp_pipeline.datasets.custom.layouts import load_layout
from mamp_pipeline.datasets.custom.recordings import parse_recording
from mamp_schemas.io.store_reader import open_store
from tests.cli.conftest import Run
from tests.pipeline.custom_cases import npy_bytes

PAGE = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
LAYOUTS = [text for kind, text in BLOCKS if kind == "yaml"]
GESTURES, WIDE, LANDMARKS, LONG, JOINT_LINES, _KINDER_GATOR, TRACKER, _UTD_MHAD = LAYOUTS


def record(folder: Path) -> Path:
    """Write recordings named as on the page: 17 joints, of which one is not always found."""
    for label in ("sit down", "wave"):
        (folder / label).mkdir(parents=True)
        for subject in (1, 2, 3):
            for replication in (1, 2):
                poses = np.random.default_rng(10 * subject + replication).normal(scale=0.3, size=(20 + subject, 17, 3))
                poses[4, 9] = np.nan
                np.save(folder / label / f"s{subject:02}_c1_r{replication}.npy", poses.astype(np.float32))
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAMPCTL_DATA", raising=False)
    record(tmp_path / "recordings")
    (tmp_path / "gestures.yaml").write_text(GESTURES)
    layout = load_layout("kinect_v2")
    header = ",".join(["frame", "body", *(f"{joint}_{axis}" for joint in layout.skeleton.joints for axis in "xyz")])
    with zipfile.ZipFile(tmp_path / "takes.zip", "w") as archive:
        archive.writestr(
            "take 1.csv", header + "\n0,7," + ",".join(map(str, np.random.default_rng(0).normal(scale=0.3, size=75)))
        )
    return tmp_path


def ingest(run: Run, out: str = "data/custom.zarr") -> None:
    assert run("ingest", "custom", "--layout", "gestures.yaml", "--raw", "recordings", "--out", out).code == 0


@pytest.mark.usefixtures("place")
def test_own_data__every_command_of_the_page_runs(run: Run) -> None:
    assert len(COMMANDS) == 7
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        assert program == "mampctl"
        fewer = ("--set", "schedule.epochs=2", "--set", "schedule.warmup_epochs=0") if "train" in arguments else ()
        outcome = run(*arguments, *fewer)
        assert outcome.code == 0, (command, outcome.err)
    assert json.loads(Path("data/runs/own-linear/run.json").read_text())["dataset"] == "custom"


@pytest.mark.usefixtures("place")
def test_own_data__clips_are_what_was_recorded(run: Run) -> None:
    ingest(run)
    group = zarr.open_group("data/custom.zarr", mode="r")
    ids = [bytes(row).rstrip(b"\0").decode() for row in group["clips/id"][:]]
    assert ids == sorted(f"{label}/s0{s}_c1_r{r}" for label in ("sit down", "wave") for s in (1, 2, 3) for r in (1, 2))
    at = ids.index("wave/s03_c1_r2")
    columns = {name: int(group[f"clips/{name}"][at]) for name in ("label", "subject", "camera", "replication", "setup")}
    assert columns == {"label": 1, "subject": 3, "camera": 1, "replication": 2, "setup": -1}
    recorded = np.load("recordings/wave/s03_c1_r2.npy") * np.float32([-1, -1, 1])
    recorded[4, 9] = recorded[3, 9]
    first = int(group["clips/first_row"][at])
    assert np.array_equal(group["joints"][first : first + 23], recorded - recorded[0, 11])
    assert group.attrs["skeleton"]["joints"][11] == "left_hip"


@pytest.mark.usefixtures("place")
def test_own_data__splits_have_no_official_counts(run: Run) -> None:
    ingest(run)
    outcome = run("build-splits", "--protocol", "xsub", "--json")
    counts = json.loads(outcome.out)
    assert (counts["train"], counts["test"], counts["official_train"]) == (8, 4, None)
    assert "counts differ" not in run("build-splits", "--protocol", "xsub").out


@pytest.mark.usefixtures("place")
def test_own_data__next_command_after_splitting_names_a_recipe(run: Run) -> None:
    ingest(run)
    (line,) = (line for line in run("build-splits", "--protocol", "xsub").out.splitlines() if line.startswith("next: "))
    arguments = shlex.split(line.removeprefix("next: mampctl "))
    assert run(*arguments, "--set", "schedule.epochs=0").code == 0


@pytest.mark.usefixtures("place")
def test_train__own_recordings_need_a_recipe_that_fits(run: Run) -> None:
    ingest(run)
    assert run("build-splits", "--protocol", "xsub").code == 0
    outcome = run("train", "pretrain")
    assert outcome.code == 2
    assert "--recipe nwucla-small --set dataset=custom --set protocol=xsub --set model.joints=17" in outcome.err
    outcome = run("train", "pretrain", "--recipe", "nwucla-small", "--set", "dataset=custom", "--set", "protocol=xsub")
    assert outcome.code == 1
    assert "model.joints is 20" in outcome.err


def open_clip(store: str, clip_id: str) -> np.ndarray:
    group = zarr.open_group(store, mode="r")
    at = [bytes(row).rstrip(b"\0").decode() for row in group["clips/id"][:]].index(clip_id)
    first, frames = int(group["clips/first_row"][at]), int(group["clips/frames"][at])
    assert int(group["clips/valid_frames"][at]) == frames
    return np.asarray(group["joints"][first : first + frames])


@pytest.mark.usefixtures("place")
def test_ingest__corrected_keeps_frames_without_anybody_in_place(run: Run) -> None:
    name = "wave/s03_c1_r2"
    poses = np.load(f"recordings/{name}.npy")
    poses[6:9] = np.nan
    np.save(f"recordings/{name}.npy", poses)
    ingest(run, "paper.zarr")
    layout = ("--layout", "gestures.yaml", "--raw", "recordings", "--policy", "corrected")
    assert run("ingest", "custom", *layout, "--out", "corrected.zarr").code == 0
    assert run("verify", "corrected.zarr").code == 0
    paper, corrected = (open_clip(f"{policy}.zarr", name) for policy in ("paper", "corrected"))
    assert not corrected[6:9].any()
    assert np.array_equal(np.delete(corrected, np.s_[6:9], axis=0), paper)
    assert "tracking_gaps 1, valid_frames 0 of 12 clips" in run("info", "corrected.zarr").out


@pytest.mark.usefixtures("place")
def test_build_splits__a_clip_without_its_number_is_refused(run: Run) -> None:
    Path("gestures.yaml").write_text(GESTURES.replace(r"s(?P<subject>\d+)", r"(s(?P<subject>\d+)|x)"))
    Path("recordings/wave/s03_c1_r2.npy").rename("recordings/wave/x_c1_r2.npy")
    ingest(run)
    outcome = run("build-splits", "--protocol", "xsub")
    assert outcome.code == 1
    assert "1 clips have no subject number to split by, the first is wave/x_c1_r2" in outcome.err
    assert "docs/own-data.md" in outcome.err


@pytest.mark.usefixtures("place")
def test_build_splits__clips_that_neither_train_nor_test(run: Run) -> None:
    Path("gestures.yaml").write_text(GESTURES.replace("train: [1, 2]}", "train: [1], test: [3]}"))
    ingest(run)
    counts = json.loads(run("build-splits", "--protocol", "xsub", "--json").out)
    assert (counts["train"], counts["test"], counts["unlisted"]) == (4, 4, 4)


@pytest.mark.usefixtures("place")
def test_build_splits__says_which_numbers_the_protocol_does_not_name(run: Run) -> None:
    Path("recordings/wave/s03_c1_r2.npy").rename("recordings/wave/s33_c1_r2.npy")
    ingest(run)
    assert "test is every subject that train does not name: 3, 33" in run("build-splits", "--protocol", "xsub").out
    Path("gestures.yaml").write_text(GESTURES.replace("train: [1, 2]}", "train: [1, 2, 7], test: [3]}"))
    ingest(run, "listed.zarr")
    out = run("build-splits", "--protocol", "xsub", "--store", "listed.zarr").out
    assert "neither split names subject 33" in out
    assert "1 clip in neither split" in out
    assert "the layout names subject 7, which no clip has" in out


@pytest.mark.usefixtures("place")
def test_import__own_recordings_are_ingested_not_imported(run: Run) -> None:
    Path("x.npz").touch()
    outcome = run("import", "npz", "x.npz", "--dataset", "custom", "--protocol", "xsub", "--out", "x.zarr")
    assert outcome.code == 2


@pytest.mark.usefixtures("place")
def test_info__shows_classes_and_how_files_were_read(run: Run) -> None:
    ingest(run)
    out = run("info", "data/custom.zarr").out
    assert "Gestures (custom)" in out
    assert "npy, metres, axes -x -y z, missing joints: hold" in out
    assert "sit down, wave" in out


@pytest.mark.usefixtures("place")
def test_export__one_hot_over_the_layouts_classes(run: Run) -> None:
    ingest(run)
    assert run("build-splits", "--protocol", "xsub").code == 0
    assert run("export", "npz", "--protocol", "xsub", "--out", "x.npz").code == 0
    with np.load("x.npz") as file:
        exported = dict(file)
    assert exported["x_train"].shape == (8, 300, 17 * 3)
    assert exported["y_train"].shape == (8, 2)


@pytest.mark.usefixtures("place")
def test_ingest__another_layout_is_another_store(run: Run) -> None:
    ingest(run)
    Path("gestures.yaml").write_text(GESTURES.replace("missing: hold", "missing: zeros"))
    outcome = run("ingest", "custom", "--layout", "gestures.yaml", "--raw", "recordings")
    assert outcome.code == 1
    assert "another layout" in outcome.err
    ingest(run, "data/zeros.zarr")
    hashes = {zarr.open_group(f"data/{name}.zarr", mode="r").attrs["content_hash"] for name in ("custom", "zeros")}
    assert len(hashes) == 2


@pytest.mark.usefixtures("place")
def test_ingest__files_at_fault_are_quarantined(run: Run) -> None:
    Path("recordings/wave/s09_c1_r1.npy").write_bytes(npy_bytes(np.ones((5, 17, 2))))
    Path("recordings/wave/notes.npy").write_bytes(b"")
    arguments = ("ingest", "custom", "--layout", "gestures.yaml", "--raw", "recordings", "--strict", "--json")
    outcome = run(*arguments)
    assert outcome.code == 3
    reasons = {entry["file"]: entry["reason"] for entry in json.loads(outcome.out)["quarantined"]}
    assert reasons.keys() == {"recordings/wave/s09_c1_r1.npy", "recordings/wave/notes.npy"}
    assert "lift it to 3D" in reasons["recordings/wave/s09_c1_r1.npy"]
    assert "does not match the layout's names" in reasons["recordings/wave/notes.npy"]


@pytest.mark.usefixtures("place")
def test_ingest__excludes_clips_by_their_paths(run: Run) -> None:
    Path("exclude.txt").write_text("wave/s01_c1_r1\nsit down/s02_c1_r2.npy\n")
    arguments = ("ingest", "custom", "--layout", "gestures.yaml", "--raw", "recordings", "--exclude", "exclude.txt")
    assert json.loads(run(*arguments, "--json").out)["counts"]["excluded"] == 2


def test_ingest__own_recordings_need_a_layout(run: Run, place: Path) -> None:
    outcome = run("ingest", "custom", "--raw", place)
    assert outcome.code == 2
    assert "azure_kinect, azure_kinect_text, coco_17, kinect_v1, kinect_v2, mediapipe_33" in outcome.err


def test_ingest__known_datasets_have_none(run: Run, place: Path) -> None:
    outcome = run("ingest", "nwucla", "--layout", "kinect_v1", "--raw", place)
    assert outcome.code == 2
    assert "nwucla has a format of its own" in outcome.err


def test_ingest__an_unknown_key_is_named(run: Run, place: Path) -> None:
    (place / "gestures.yaml").write_text(GESTURES.replace("missing:", "mising:"))
    outcome = run("ingest", "custom", "--layout", "gestures.yaml", "--raw", "recordings")
    assert outcome.code == 1
    assert "unknown key: mising" in outcome.err


def read_sample(place: Path, layout: str, kind: str, number: int = 0) -> RawBodies:
    file = place / "layout.yaml"
    file.write_text(layout)
    sample = [text for name, text in BLOCKS if name == kind][number]
    return parse_recording(sample.encode(), load_layout(str(file)))


def test_page__csv_of_bodies(place: Path) -> None:
    raw = read_sample(place, WIDE, "csv")
    assert (raw.frame.tolist(), raw.body_id.tolist()) == ([0, 1, 1], [0, 0, 1])
    assert raw.joints[2, 0].tolist() == np.float32([-0.8, 0.94, 3.0]).tolist()


def test_page__csv_of_joints(place: Path) -> None:
    raw = read_sample(place, LONG, "csv", 2)
    assert raw.joints[1, :, 0].tolist() == np.float32([0.110, 0.105, 0.101]).tolist()


@pytest.mark.parametrize(("layout", "number"), [(LANDMARKS, 1), (JOINT_LINES, 3)], ids=["landmarks", "joint lines"])
def test_page__csv_by_position(place: Path, layout: str, number: int) -> None:
    raw = read_sample(place, layout, "csv", number)
    assert raw.joints.tolist() == np.float32(
        [[[0.102, 0.95, 2.51], [0.098, 1.29, 2.5], [0.101, 1.61, 2.49]],
         [[0.11, 0.951, 2.511], [0.105, 1.291, 2.5], [0.108, 1.611, 2.49]]]
    ).tolist()  # fmt: skip


def test_page__json(place: Path) -> None:
    raw = read_sample(place, TRACKER, "json")
    assert (raw.frames, raw.frame.tolist()) == (3, [0, 2])
    assert raw.joints[1, 2].tolist() == np.float32([0.108, 1.611, 2.49]).tolist()


def test_ingest__names_that_are_no_utf8(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    (folder / "wave").mkdir(parents=True)
    poses = np.random.default_rng(0).normal(scale=0.3, size=(12, 17, 3)).astype(np.float32)
    np.save(folder / "wave" / "ok.npy", poses)
    content = (folder / "wave" / "ok.npy").read_bytes()
    for name, data in ((b"a\xff.npy", content), (b"b\xff.npy", b"damaged"), (b"c\xff.tsv", b""), (b"d" * 250, b"")):
        (folder / os.fsdecode(name)).write_bytes(data)
    (tmp_path / "l.yaml").write_text(
        "name: Waves\nskeleton: coco_17\nfiles: {format: npy, order: TVC}\nunits: metres\n"
    )
    store = tmp_path / "s.zarr"
    outcome = run("ingest", "custom", "--layout", tmp_path / "l.yaml", "--raw", folder, "--out", store, "--workers", 0)
    assert outcome.code == 0, outcome.err
    assert open_store(store).ids == ["a%FF", "wave/ok"]
    metadata = json.loads(run("info", store, "--json").out)
    assert [entry["file"] for entry in metadata["quarantined"]] == ["raw/b\\xff.npy"]
    assert [group["files"] for group in metadata["left_out"]] == [["raw/c\\xff.tsv"]]
    assert run("info", store).code == 0
    assert run("show", store, "a%FF").code == 0
    assert run("show", store, "a\udcff").code == 1
