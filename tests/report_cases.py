"""Stores to report on: recordings that move, jump, stand still or stretch, with names that look like markup."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_pipeline.report.quality import Survey
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.models.base import parse_model_data
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.policy import PAPER_POLICY
from mamp_schemas.models.skeleton import KINECT_V2
from mamp_schemas.progress import NullProgress

CLASSES = ("<b>wave", "sit down", "walk")
JUMPING = "<b>wave/<script>alert(1)<img src=x onerror=alert(2)>s1_c1"
LAYOUT = {
    "name": "Gestures <i>1",
    "skeleton": "kinect_v2",
    "files": {"format": "npy", "order": "MTVC"},
    "units": "metres",
    "bodies": 2,
    "fps": 30,
    "names": r".*s(?P<subject>\d+)_c(?P<camera>\d+)",
    "labels": "folder",
    "classes": CLASSES,
    "protocols": [{"name": "xsub", "column": "subject", "train": [1]}],
}
PARENTS = np.array(KINECT_V2.parents)
HAND, HEAD = KINECT_V2.joints.index("hand_left"), KINECT_V2.joints.index("head")


def stand() -> NDArray[np.float64]:
    """Return a pose (25, 3) in metres: each joint 0.2 m from its parent."""
    pose, directions = np.zeros((25, 3)), np.random.default_rng(7).normal(size=(25, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    posed = {0}
    while len(posed) < 25:
        for joint, parent in enumerate(KINECT_V2.parents):
            if joint not in posed and parent in posed:
                pose[joint] = pose[parent] + 0.2 * directions[joint]
                posed.add(joint)
    return pose


def move(frames: int, seed: int = 0, bodies: int = 1) -> NDArray[np.float64]:
    """Return bodies (M, T, 25, 3) whose joints swing by a few centimetres."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None, None]
    swing = rng.uniform(0.01, 0.02, (bodies, 1, 25, 3)) * np.sin(time / 5 + rng.uniform(0, 6, (bodies, 1, 25, 3)))
    return stand() + swing + np.arange(1, bodies + 1)[:, None, None, None] * np.array([0.8, 0.1, 3.0])


def jump(frames: int) -> NDArray[np.float64]:
    """Return a body whose left hand is 2 m away in frames 20 and 21."""
    joints = move(frames, seed=1)
    joints[:, 20:22, HAND] += (2, 0, 0)
    return joints


def stretch(frames: int) -> NDArray[np.float64]:
    """Return a body whose neck grows to five times its length."""
    joints = move(frames, seed=2)
    parent = joints[:, :, PARENTS[HEAD]]
    joints[:, :, HEAD] = parent + (joints[:, :, HEAD] - parent) * np.linspace(1, 5, frames)[:, None]
    return joints


def make_store(folder: Path) -> Path:
    """Write recordings and ingest them: 16 clips of three classes, and a file to be quarantined."""
    raw = folder / "recordings"
    for label in CLASSES:
        (raw / label).mkdir(parents=True)
    for number in range(12):
        name = f"s{1 + number % 2}_c{1 + number % 3}"
        np.save(raw / CLASSES[number % 3] / f"clip{number:02}_{name}.npy", move(60 + number, seed=10 + number))
    np.save(raw / "walk" / "still_s2_c1.npy", np.repeat(move(1), 50, axis=1))
    np.save(raw / "walk" / "stretch_s1_c2.npy", stretch(70))
    np.save(raw / "sit down" / "pair_s2_c2.npy", move(64, seed=3, bodies=2))
    np.save(raw / f"{JUMPING}.npy", jump(60))
    (raw / "walk" / "broken_s1_c1.npy").write_bytes(b"\x93NUMPY")
    layout, out = parse_model_data(Layout, LAYOUT, "layout of the test"), folder / "gestures.zarr"
    ingest(IngestRequest("custom", (raw,), out, PAPER_POLICY, layout=layout), NullProgress())
    return out


def make_ntu120(like: Path) -> Store:
    """Return a store of NTU-120's 113,945 clips and their variety, but without rows.

    Args:
        like: a finished store of NTU-120, whose metadata it takes.
    """
    number, rng = np.arange(113_945), np.random.default_rng(0)
    columns = {
        "setup": 1 + number % 32,
        "camera": 1 + number % 3,
        "subject": 1 + number % 106,
        "replication": 1 + number // 2 % 2,
        "label": number % 120,
        "frames": rng.integers(20, 301, len(number)),
        "bodies": 1 + (number % 5 == 0),
        "mean_intensity": rng.gamma(2, 0.01, len(number)).astype(np.float32),
        "first_row": np.zeros(len(number), np.int64),
    }
    opened = open_store(like)
    return Store(opened.path, opened.root, [f"S001C001P001R001A{place:06}" for place in number], columns, opened.arrays)


def survey_ntu120(store: Store) -> Survey:
    """Return a survey in which a tenth of the clips are outliers of each kind."""
    clips, classes = len(store.ids), store.metadata.dataset_spec().classes + 1
    rng = np.random.default_rng(1)
    odd = rng.random((3, clips)) < 0.1
    return Survey(
        jumps=odd[0].astype(np.int32) * 20,
        jump_metres=(odd[0] * rng.uniform(0.5, 5, clips)).astype(np.float32),
        jump_joint=rng.integers(0, 25, clips).astype(np.int16),
        still=odd[1].astype(np.float32),
        bone_change=np.where(odd[2], 50, rng.uniform(0.2, 0.5, clips)).astype(np.float32),
        bone=rng.integers(0, 25, clips).astype(np.int16),
        intensity=rng.gamma(2, 0.01, (classes, 25)),
        rows=rng.integers(1, 100_000, classes),
        pose=stand(),
    )
