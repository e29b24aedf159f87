"""`mampctl import` and `export`: golden stores through every format and back, and errors that say what to do."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mamp_schemas.io.store_reader import Store, is_complete, open_store
from tests.cli.conftest import Run
from tests.paths import GOLDEN
from tests.pipeline.convert_cases import npz_arrays, pad, pyskl_content, write_h5, write_npz, write_pickle

SUFFIXES = {"npz": "npz", "h5": "h5", "pyskl": "pkl"}


@pytest.fixture(scope="module", params=["ntu60", "ntu120", "pku2"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of golden clips, with all its manifests."""
    dataset = request.param
    path = tmp_path_factory.mktemp("golden") / f"{dataset}.zarr"
    command = [sys.executable, "-m", "mampctl"]
    raw = GOLDEN / dataset / "raw.zip"
    subprocess.run([*command, "ingest", dataset, "--raw", raw, "--out", path], check=True, capture_output=True)
    for protocol in ("xsub", "xset" if dataset == "ntu120" else "xview"):
        split = ["build-splits", "--protocol", protocol, "--store", path]
        subprocess.run([*command, *split], check=True, capture_output=True)
    return path


def clip(store: Store, place: int) -> np.ndarray:
    """Return a clip's joints, without a second body of zeros only, which no padded file can tell from none."""
    row, bodies, frames = (int(store.columns[name][place]) for name in ("first_row", "bodies", "frames"))
    joints = store.read_rows("joints", row, row + bodies * frames).reshape(bodies, frames, 25, 3)
    return joints if bodies == 1 or joints[1].any() else joints[:1]


@pytest.mark.parametrize("form", SUFFIXES)
def test_import__export_of_the_import_is_the_same_file(run: Run, store: Path, tmp_path: Path, form: str) -> None:
    first, second = (tmp_path / f"{name}.{SUFFIXES[form]}" for name in ("first", "second"))
    again = tmp_path / "again.zarr"
    protocol = [] if form == "pyskl" else ["--protocol", "xsub"]
    assert run("export", form, "--store", store, *protocol, "--out", first).code == 0
    assert run("import", form, first, *protocol, "--out", again).code == 0
    assert run("verify", again).code == 0
    assert run("export", form, "--store", again, *protocol, "--out", second).code == 0
    assert second.read_bytes() == first.read_bytes()


@pytest.mark.parametrize("form", SUFFIXES)
def test_import__import_of_the_export_has_the_same_clips(run: Run, store: Path, tmp_path: Path, form: str) -> None:
    file, again = tmp_path / f"f.{SUFFIXES[form]}", tmp_path / "again.zarr"
    protocol = [] if form == "pyskl" else ["--protocol", "xsub"]
    run("export", form, "--store", store, *protocol, "--out", file)
    assert run("import", form, file, *protocol, "--dataset", store.stem, "--out", again).code == 0
    one, other = open_store(store), open_store(again)
    assert other.ids == one.ids
    for name in ("label", "frames", "valid_frames", "subject", "camera", "setup", "replication"):
        np.testing.assert_array_equal(other.columns[name], one.columns[name])
    for place in range(len(one.ids)):
        np.testing.assert_array_equal(clip(other, place), clip(one, place))
    assert (
        json.loads((tmp_path / "again.xsub.json").read_text())["train"]
        == json.loads(store.with_name(f"{store.stem}.xsub.json").read_text())["train"]
    )


def test_import__padded_files_keep_the_empty_slot(run: Run, store: Path, tmp_path: Path) -> None:
    run("export", "npz", "--store", store, "--protocol", "xsub", "--out", tmp_path / "f.npz")
    outcome = run("import", "npz", tmp_path / "f.npz", "--protocol", "xsub", "--out", tmp_path / "s.zarr", "--json")
    policy = json.loads(outcome.out)["policy"]
    assert policy["empty_slot"] == open_store(store).metadata.policy.empty_slot
    assert "imported: origin npz, ids file, labels one_hot" in run("info", tmp_path / "s.zarr").out


def test_export__pyskl_holds_every_split_or_the_one_named(run: Run, store: Path, tmp_path: Path) -> None:
    assert run("export", "pyskl", "--store", store, "--out", tmp_path / "all.pkl").code == 0
    assert run("export", "pyskl", "--store", store, "--protocol", "xsub", "--out", tmp_path / "one.pkl").code == 0
    whole = pickle.loads((tmp_path / "all.pkl").read_bytes())
    assert len(whole["split"]) == 4
    assert set(pickle.loads((tmp_path / "one.pkl").read_bytes())["split"]) == {"xsub_train", "xsub_val"}
    assert sorted(entry["frame_dir"] for entry in whole["annotations"]) == open_store(store).ids


def test_export__pyskl_without_a_manifest_names_the_command(run: Run, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "f.npz", npz_arrays([pad(3)], [pad(4)]))
    run("import", "npz", path, "--protocol", "xview", "--out", tmp_path / "s.zarr")
    assert run("export", "pyskl", "--store", tmp_path / "s.zarr", "--out", tmp_path / "f.pkl").code == 0
    (tmp_path / "s.xview.json").unlink()
    outcome = run("export", "pyskl", "--store", tmp_path / "s.zarr", "--out", tmp_path / "g.pkl")
    assert outcome.code == 1
    assert "mampctl build-splits --protocol xsub" in outcome.err


def test_export__makes_the_folder_of_the_file(run: Run, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "f.npz", npz_arrays([pad(3)], [pad(4)]))
    run("import", "npz", path, "--protocol", "xsub", "--out", tmp_path / "s.zarr")
    out = tmp_path / "new" / "folder" / "g.npz"
    assert run("export", "npz", "--store", tmp_path / "s.zarr", "--protocol", "xsub", "--out", out).code == 0
    assert out.exists()


def test_import__the_protocol_is_needed_and_checked(run: Run, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "f.npz", npz_arrays([pad(3)], [pad(4)]))
    assert run("import", "npz", path, "--out", tmp_path / "s.zarr").code == 2
    outcome = run("import", "npz", path, "--protocol", "xset", "--dataset", "ntu60", "--out", tmp_path / "s.zarr")
    assert outcome.code == 2
    assert "its protocols are: xsub, xview" in outcome.err


def test_import__an_unfinished_one_is_refused_by_readers(run: Run, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "f.npz", npz_arrays([pad(3)], [pad(4)]))
    run("import", "npz", path, "--protocol", "xsub", "--out", tmp_path / "s.zarr")
    (tmp_path / "s.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    outcome = run("verify", tmp_path / "s.zarr")
    assert outcome.code == 1
    assert "Or the same import" in outcome.err


def test_import__a_hostile_pickle_is_refused(run: Run, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> object:
            return os.mkdir, (str(tmp_path / "made"),)

    path = write_pickle(tmp_path / "f.pkl", {**pyskl_content(), "more": Hostile()})
    outcome = run("import", "pyskl", path, "--out", tmp_path / "s.zarr")
    assert outcome.code == 1
    assert "posix.mkdir" in outcome.err
    assert "Only numpy arrays" in outcome.err
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.pkl"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize("form", SUFFIXES)
def test_export_and_import__on_a_really_full_disk(run: Run, tmp_path: Path, form: str) -> None:
    source = write_h5(tmp_path / "f.h5", h5_file())
    assert run("import", "h5", source, "--protocol", "xsub", "--out", tmp_path / "s.zarr").code == 0
    file = tmp_path / f"f2.{SUFFIXES[form]}"
    run("export", form, "--store", tmp_path / "s.zarr", "--protocol", "xsub", "--out", file)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        full = run("export", form, "--store", tmp_path / "s.zarr", "--protocol", "xsub", "--out", disk / "f")
        protocol = ["--dataset", "ntu60"] if form == "pyskl" else ["--protocol", "xsub"]
        refused = run("import", form, file, *protocol, "--out", disk / "s.zarr")
        for outcome in (full, refused):
            assert outcome.code == 1
            assert "The disk is full" in outcome.err
        assert list(disk.iterdir()) == []
        assert not is_complete(disk / "s.zarr")
    finally:
        subprocess.run(["umount", disk], check=True)


def h5_file() -> dict[str, np.ndarray]:
    """Return an HDF5 file's arrays whose store takes more than a megabyte."""
    x = np.stack([pad(300, "body", seed=k) for k in range(12)])
    y = np.eye(60, dtype=np.float32)[:12]
    empty = {"valid_x": x[:0], "valid_y": y[:0]}
    return {"x": x[:8], "y": y[:8], **empty, "test_x": x[8:], "test_y": y[8:]}


@pytest.mark.parametrize(
    "name", ["S001C004P001R001A001.skeleton", "nturgbd/s001c004p001r001a001.SKELETON", " S001C001P041R001A001 "]
)
def test_import__names_of_raw_files_are_checked_as_names_of_clips(run: Run, tmp_path: Path, name: str) -> None:
    arrays = npz_arrays([pad(5)], [pad(5, seed=1)])
    names = {"names_train": np.array([name]), "names_test": np.array(["S001C001P003R001A001"])}
    file = write_npz(tmp_path / "f.npz", {**arrays, **names})
    outcome = run("import", "npz", file, "--protocol", "xsub", "--dataset", "ntu60", "--out", tmp_path / "s.zarr")
    assert outcome.code == 1
    assert "is not of NTU RGB+D 60, says its name: " in outcome.err


def test_import__of_a_file_with_an_empty_side_suggests_no_training(run: Run, tmp_path: Path) -> None:
    file, store = write_npz(tmp_path / "f.npz", npz_arrays([pad(5), pad(6)], [])), tmp_path / "my store.zarr"
    outcome = run("import", "npz", file, "--protocol", "xsub", "--dataset", "ntu60", "--out", store)
    assert outcome.code == 0
    assert "the test split of xsub is empty" in outcome.err
    assert f"next: mampctl report '{store}' --out report.html" in outcome.out
    assert "train" not in outcome.out.partition("next:")[2]
    assert f"next: mampctl report '{store}'" in run("info", store).out


def test_import__a_folder_and_a_dataset_with_a_layout_name_the_way(run: Run, tmp_path: Path) -> None:
    (tmp_path / "my files").mkdir()
    outcome = run("import", "npz", tmp_path / "my files", "--protocol", "xsub", "--out", tmp_path / "s.zarr")
    assert outcome.code == 1
    assert "is a folder, not a file of `mampctl import npz`" in outcome.err
    assert f"mampctl ingest DATASET --raw '{tmp_path / 'my files'}'" in outcome.err
    outcome = run("import", "pyskl", tmp_path / "f.pkl", "--dataset", "custom", "--out", tmp_path / "s.zarr")
    assert outcome.code == 2
    assert "an import takes no layout" in outcome.err
    assert "ingest them with a layout" in outcome.err
