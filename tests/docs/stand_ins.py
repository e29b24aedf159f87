"""Small stand-ins for what the documentation's commands read, under the names that it uses."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np

from mamp_pipeline.datasets.custom.layouts import load_layout
from mamp_pipeline.synth.ntu import synthesise
from tests.paths import GOLDEN

NTU = "nturgbd_skeletons_s001_to_s017.zip"
NTU_LATE = "nturgbd_skeletons_s018_to_s032.zip"
NAMED = ("S001C001P001R001A050", "S001C002P003R002A013")
"""Clips that pages name."""
LAYOUT = r"""
name: Gestures
skeleton: coco_17
files: {format: npy, order: TVC}
units: metres
axes: [-x, -y, z]
missing: hold
fps: 30
names: 's(?P<subject>\d+)_c(?P<camera>\d+)_r(?P<replication>\d+)'
labels: folder
classes: [sit down, wave]
protocols:
  - {name: xsub, column: subject, train: [1, 2]}
  - {name: xview, column: camera, train: [1]}
"""


def lay_out(folder: Path) -> None:
    """Write the stand-ins of all raw files into a folder."""
    _ntu(folder)
    _pku(folder / "pku")
    shutil.copy(GOLDEN / "pku2" / "raw.zip", folder / "pku2.zip")
    _nwucla(folder / "nw_ucla.zip")
    _own(folder)


def _ntu(folder: Path) -> None:
    text = folder / "text"
    synthesise("ntu60", text, clips=24, classes=6, setups=2, subjects=4, seed=1)
    files = sorted(text.iterdir())
    for name, source in zip(NAMED, files, strict=False):
        shutil.copy(source, text / f"{name}.skeleton")
    _zip(folder / NTU, sorted(text.iterdir()))
    (folder / "recordings").mkdir()
    shutil.copy(text / f"{NAMED[1]}.skeleton", folder)
    shutil.copy(files[2], folder / "recordings")
    late = folder / "late"
    synthesise("ntu120", late, clips=24, classes=6, setups=4, subjects=4, seed=2)
    early = {f"S{setup:03}" for setup in range(18)}
    _zip(folder / NTU_LATE, [file for file in sorted(late.iterdir()) if file.name[:4] not in early])
    shutil.copy(folder / NTU, folder / "first.zip")
    shutil.copy(folder / NTU_LATE, folder / "second.zip")
    for name in ("missing", "NTU_RGBD_samples_with_missing", "NTU_RGBD120_samples_with_missing"):
        (folder / f"{name}_skeletons.txt").write_text("S001C001P001R001A060\n")
    shutil.rmtree(text)
    shutil.rmtree(late)


def _pku(folder: Path) -> None:
    with zipfile.ZipFile(GOLDEN / "pku1" / "raw.zip") as archive:
        archive.extractall(folder)
    (folder / "skeleton").rename(folder / "Skeleton")
    _zip(folder / "Label.zip", sorted((folder / "label").iterdir()))
    for kind in ("subject", "view"):
        split_list = next(file for file in folder.iterdir() if file.suffix == ".txt" and kind in file.name)
        split_list.rename(folder / f"cross-{kind}.txt")


def _nwucla(path: Path) -> None:
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for action in range(1, 4):
            for view in (1, 2, 3):
                for person in (1, 2):
                    name = f"a{action:02}_s{person:02}_e00_v{view:02}"
                    frames = (generator.normal(size=(18, 20, 3)) + action).round(4).tolist()
                    content = {"file_name": name, "skeletons": frames, "label": action}
                    archive.writestr(f"{name}.json", json.dumps(content))


def _own(folder: Path) -> None:
    (folder / "gestures.yaml").write_text(LAYOUT)
    generator = np.random.default_rng(1)
    for label in ("sit down", "wave"):
        for subject in (1, 2, 3):
            for camera in (1, 2):
                file = folder / "gestures" / label / f"s{subject:02}_c{camera}_r1.npy"
                file.parent.mkdir(parents=True, exist_ok=True)
                np.save(file, generator.normal(scale=0.3, size=(20, 17, 3)))
    joints = load_layout("kinect_v2").skeleton.joints
    header = ["frame", "body", *(f"{joint}_{axis}" for joint in joints for axis in "xyz")]
    numbers = [[frame, 0, *(generator.normal(scale=0.3, size=75) + frame / 10)] for frame in range(12)]
    rows = [",".join(map(str, row)) for row in (header, *numbers)]
    with zipfile.ZipFile(folder / "takes.zip", "w") as archive:
        archive.writestr("take1.csv", "\n".join(rows) + "\n")


def _zip(path: Path, files: list[Path]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            archive.write(file, file.name)


PREPARED = """
mampctl ingest ntu60 --raw nturgbd_skeletons_s001_to_s017.zip
mampctl build-splits --protocol xsub --store data/ntu60.zarr
mampctl build-splits --protocol xview --store data/ntu60.zarr
mampctl train pretrain --recipe ntu60-xsub
mampctl train linear --recipe ntu60-xsub --from data/runs/pretrain-ntu60-xsub
mampctl train linear --recipe ntu60-xview --from data/runs/pretrain-ntu60-xsub
mampctl ingest pku2 --raw pku2.zip
mampctl build-splits --protocol xsub --store data/pku2.zarr
"""
"""What pages that do not start from raw files expect to be there."""
