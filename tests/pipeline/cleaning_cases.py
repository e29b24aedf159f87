"""Raw bodies for tests: built by hand, read from golden text by a naive parser, cleaned by a naive oracle."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.clips import Clip, RawBodies
from mamp_schemas.models.policy import IngestPolicy
from tests.paths import GOLDEN


def make_body(frames: int, *, seed: int = 0, swing: float = 0.1) -> NDArray[np.float32]:
    """Return (frames, 25, 3): a column of joints 2 m high and 1 m wide that moves by `swing`."""
    rng = np.random.default_rng(seed)
    still = np.stack((np.linspace(0, 1, 25), np.linspace(-1, 1, 25), np.full(25, 3.0)), axis=1)
    return (still + rng.normal(0, swing, (frames, 1, 3))).astype(np.float32)


def make_raw(*bodies: tuple[int, int, NDArray[np.float32]], frames: int = 0) -> RawBodies:
    """Return the records of (id, first frame, joints) bodies in file order; a body may be given in pieces."""
    records = [
        (first + k, order, body_id, frame)
        for order, (body_id, first, joints) in enumerate(bodies)
        for k, frame in enumerate(joints)
    ]
    records.sort(key=lambda record: record[:2])
    return RawBodies(
        frames=max([frames, *(record[0] + 1 for record in records)]),
        frame=np.array([record[0] for record in records], dtype=np.int64),
        body_id=np.array([record[2] for record in records], dtype=np.int64),
        joints=np.array([record[3] for record in records] or np.empty((0, 25, 3)), dtype=np.float32),
    )


def parse_naively(data: bytes) -> RawBodies:
    """Parse undamaged NTU text."""
    lines = iter(data.decode("ascii").splitlines())
    frames = int(next(lines))
    frame, ids, joints = [], [], []
    for k in range(frames):
        for _ in range(int(next(lines))):
            ids.append(int(next(lines).split()[0]))
            frame.append(k)
            joints.append([next(lines).split()[:3] for _ in range(int(next(lines)))])
    return RawBodies(
        frames=frames,
        frame=np.array(frame, dtype=np.int64),
        body_id=np.array(ids, dtype=np.int64),
        joints=np.array(joints, dtype=np.float32).reshape(len(ids), -1, 3),
    )


def golden_texts(dataset: str) -> dict[str, bytes]:
    """Return the golden raw files of a dataset by clip id."""
    with zipfile.ZipFile(GOLDEN / dataset / "raw.zip") as archive:
        return {Path(name).stem: archive.read(name) for name in archive.namelist()}


def both_slots(clip: Clip, policy: IngestPolicy) -> NDArray[np.float32]:
    """Return (frames, 2·V·3): the clip as the authors store it, an empty slot filled by the policy."""
    rows = clip.joints.transpose(1, 0, 2, 3).reshape(clip.joints.shape[1], -1)
    if len(clip.joints) == 2:
        return rows
    return np.hstack((rows, rows if policy.empty_slot == "copy" else np.zeros_like(rows)))


def count_as_loader(rows: NDArray[np.float32], joints: int) -> int:
    """Count valid frames of (T, 2·V·3) rows with the sums of the authors' loader, on its (C, T, V, M) view."""
    view = rows.reshape(len(rows), 2, joints, 3).transpose(3, 0, 2, 1)
    return int(np.sum(view.sum(0).sum(-1).sum(-1) != 0))
