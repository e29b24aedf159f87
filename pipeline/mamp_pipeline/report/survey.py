"""One pass over a store's rows, in flat memory: what makes clips suspicious, and where the motion is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.motion import RowIndex, index_rows
from mamp_pipeline.report.measures import bone_length_change, bone_lengths, find_jumps, step_lengths, visible_rows, still_fraction
from mamp_pipeline.store.read import Store
from mamp_schemas.progress import Progress


@dataclass(frozen=True)
class Survey:
    """What the rows of N clips tell, K classes and V joints.

    Attributes:
        jumps: (N,) int32, joints' steps that are too long to be movement.
        jump_metres: (N,) float32, the longest of them; 0 where there is none.
        jump_joint: (N,) int16, its joint.
        still: (N,) float32, share of steps in which no joint moves.
        bone_change: (N,) float32, relative change of the bone that changes most.
        bone: (N,) int16, the joint at that bone's end.
        intensity: (K + 1, V) mean intensity of the classes' rows, metres; the last row is of clips without a label;
            NaN where there are no rows.
        rows: (K + 1,) int64, the rows these means are of.
        pose: (V, 3) metres, the mean of all poses about their root joint.
    """

    jumps: NDArray[np.int32]
    jump_metres: NDArray[np.float32]
    jump_joint: NDArray[np.int16]
    still: NDArray[np.float32]
    bone_change: NDArray[np.float32]
    bone: NDArray[np.int16]
    intensity: NDArray[np.float64]
    rows: NDArray[np.int64]
    pose: NDArray[np.float64]


def survey_store(store: Store, progress: Progress) -> Survey:
    """Read all rows of a store once, block by block.

    Raises:
        DamagedStoreError: rows cannot be read.
    """
    gathered = _SurveyAccumulator(store)
    progress.start("survey", len(store.ids), "clips")
    for first, last, joints in store.blocks():
        start = int(store.columns["first_row"][first])
        gathered.add(first, last, joints, store.read_rows("intensity", start, start + len(joints)))
        progress.advance(last - first)
    return gathered.result()


class _SurveyAccumulator:
    """A survey in the making."""

    def __init__(self, store: Store) -> None:
        clips, skeleton = len(store.ids), store.metadata.skeleton
        joints, classes = len(skeleton.joints), store.metadata.dataset_spec().classes
        self._columns = store.columns
        self._parents = np.array(skeleton.parents, dtype=np.int64)
        self._root = int(np.flatnonzero(self._parents == np.arange(joints))[0])
        self._jumps = np.zeros(clips, np.int32)
        self._jump_metres, self._jump_joint = np.zeros(clips, np.float32), np.zeros(clips, np.int16)
        self._still, self._bone_change = np.zeros(clips, np.float32), np.zeros(clips, np.float32)
        self._bone = np.zeros(clips, np.int16)
        self._intensity, self._rows = np.zeros((classes + 1, joints)), np.zeros(classes + 1, np.int64)
        self._pose, self._poses = np.zeros((joints, 3)), 0

    def add(self, first: int, last: int, joints: NDArray[np.float32], intensity: NDArray[np.float32]) -> None:
        """Take in the clips [first, last): their rows (R, V, 3), and the stored intensity (R, V)."""
        frames, bodies = (self._columns[name][first:last].astype(np.int64) for name in ("frames", "bodies"))
        places, row_clip = index_rows(frames, bodies), np.repeat(np.arange(last - first), frames * bodies)
        steps = step_lengths(joints, places)
        self._still[first:last] = still_fraction(steps, row_clip, last - first)
        self._add_jumps(steps, places, row_clip + first)
        self._add_bones(joints, frames, bodies, first)
        self._add_intensity(intensity, self._columns["label"][first:last].astype(np.int64), frames * bodies)
        seen = joints[visible_rows(joints)]
        self._pose += (seen - seen[:, self._root : self._root + 1]).sum(axis=0, dtype=np.float64)
        self._poses += len(seen)

    def result(self) -> Survey:
        """Return the survey of what was added."""
        with np.errstate(invalid="ignore"):
            mean = self._intensity / self._rows[:, None]
        return Survey(
            jumps=self._jumps,
            jump_metres=self._jump_metres,
            jump_joint=self._jump_joint,
            still=self._still,
            bone_change=self._bone_change,
            bone=self._bone,
            intensity=mean,
            rows=self._rows,
            pose=self._pose / max(self._poses, 1),
        )

    def _add_jumps(self, steps: NDArray[np.float32], places: RowIndex, row_clip: NDArray[np.int64]) -> None:
        jumps = find_jumps(steps, places)
        clip, order = row_clip[jumps.row], np.argsort(jumps.metres, kind="stable")
        self._jumps += np.bincount(clip, minlength=len(self._jumps)).astype(np.int32)
        # Ascending: of several values for a clip the last one, the longest, stays.
        self._jump_metres[clip[order]] = jumps.metres[order]
        self._jump_joint[clip[order]] = jumps.joint[order]

    def _add_bones(
        self, joints: NDArray[np.float32], frames: NDArray[np.int64], bodies: NDArray[np.int64], first: int
    ) -> None:
        lengths, seen = bone_lengths(joints, self._parents), visible_rows(joints)
        start = 0
        for clip, (count, slots) in enumerate(zip(frames.tolist(), bodies.tolist(), strict=True), start=first):
            for _ in range(slots):
                track = slice(start, start + count)
                change = bone_length_change(lengths[track][seen[track]])
                bone = int(change.argmax())
                if change[bone] > self._bone_change[clip]:
                    self._bone_change[clip], self._bone[clip] = change[bone], bone
                start += count

    def _add_intensity(self, intensity: NDArray[np.float32], label: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        starts = np.cumsum(rows) - rows
        sums = np.add.reduceat(intensity, starts, axis=0, dtype=np.float64)
        np.add.at(self._intensity, label, sums)
        np.add.at(self._rows, label, rows)
