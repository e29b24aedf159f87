"""Synthetic raw files in the NTU format: clip names, file text, and a folder or zip archive of them."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.clips import ClipInfo, RawBodies
from mamp_pipeline.synth.scene import make_scene
from mamp_schemas.errors import UsageError
from mamp_schemas.io.atomic import atomic_file, atomic_folder
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.progress import NullProgress, Progress

SynthDataset = Literal["ntu60", "ntu120"]

_SUBJECTS: dict[SynthDataset, int] = {"ntu60": 40, "ntu120": 106}
_SETUPS: dict[SynthDataset, int] = {"ntu60": 17, "ntu120": 32}
_NTU60_SETUPS = 17
_NTU60_ACTIONS = 60
_CAMERAS = 3
_REPLICATIONS = 2


def plan_clips(dataset: SynthDataset, *, clips: int, classes: int, setups: int, subjects: int) -> list[ClipInfo]:
    """Name clips so that classes, setups and subjects are spread evenly, and both splits of each protocol occur.

    Classes are chosen evenly over the dataset's, so two-person classes occur; NTU-120's later setups hold its
    actions 61-120 only, as in the dataset.

    Raises:
        UsageError: a number is out of the dataset's range, or there are fewer names than clips.
    """
    _check_range("classes", classes, 1, dataset_spec(dataset).classes)
    _check_range("setups", setups, 1 if dataset == "ntu60" else 2, _SETUPS[dataset])
    _check_range("subjects", subjects, 2, _SUBJECTS[dataset])
    actions = _spread_evenly(classes, dataset_spec(dataset).classes)
    people = _alternate_subjects(dataset)[:subjects]
    early, late = _choose_setups(dataset, setups)
    smaller = min(len(early), len(late) or len(early))
    _check_range("clips", clips, 1, classes * subjects * _CAMERAS * _REPLICATIONS * smaller)
    return [
        _make_clip_info(k // classes, k % classes, action, people, late if action > _NTU60_ACTIONS else early)
        for k in range(clips)
        for action in (actions[k % classes],)
    ]


def _make_clip_info(turn: int, offset: int, action: int, people: list[int], setups: list[int]) -> ClipInfo:
    """Name the turn-th clip of a class: a mixed-radix count whose digits are shifted by the lower ones.

    Each shift depends on lower digits alone, so no two turns share a name.
    """
    turn, first = divmod(turn, len(people))
    turn, second = divmod(turn, _CAMERAS)
    fourth, third = divmod(turn, _REPLICATIONS)
    person = (first + offset) % len(people)
    subject = people[person]
    camera = (second + person) % _CAMERAS + 1
    replication = (third + person // _CAMERAS) % _REPLICATIONS + 1
    setup = setups[(fourth + person // 2 + second) % len(setups)]
    clip_id = f"S{setup:03}C{camera:03}P{subject:03}R{replication:03}A{action:03}"
    return ClipInfo(clip_id, action - 1, subject, camera, setup, replication)


def _spread_evenly(count: int, last: int) -> list[int]:
    return [1] if count == 1 else [1 + k * (last - 1) // (count - 1) for k in range(count)]


def _alternate_subjects(dataset: SynthDataset) -> list[int]:
    """Order the official subjects so that train and test subjects alternate for as long as there are both."""
    train = dataset_spec(dataset).protocol("xsub").train
    test = [subject for subject in range(1, _SUBJECTS[dataset] + 1) if subject not in train]
    paired = [subject for pair in zip(train, test, strict=False) for subject in pair]
    shorter = len(paired) // 2
    return [*paired, *train[shorter:], *test[shorter:]]


def _choose_setups(dataset: SynthDataset, count: int) -> tuple[list[int], list[int]]:
    """Return the setups of actions 1-60 and those of actions 61-120 (none in NTU-60)."""
    last = _SETUPS[dataset]
    late = min(count // 2, last - _NTU60_SETUPS)
    return list(range(1, count - late + 1)), list(range(_NTU60_SETUPS + 1, _NTU60_SETUPS + late + 1))


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name}: expected {low} to {high}, got {value}")


_NUMBERS_PER_JOINT = 12
_LEAF_JOINTS = [3, 15, 19, 21, 22, 23, 24]
"""Joints for which the Kinect gives no orientation: their four numbers are 0."""

_CRLF_CHANCE = 0.25


def make_clip_text(info: ClipInfo, seed: int) -> bytes:
    """Return a clip's raw file: the same bytes for the same clip and seed.

    Numbers have up to 7 significant digits and uppercase exponents, body ids exceed 2^53, and about a quarter
    of the files have CRLF line ends, as the real files do.
    """
    numbers = (info.setup, info.camera, info.subject, info.replication, info.label)
    rng = np.random.default_rng([seed, *numbers])
    scene = make_scene(info, rng)
    lean = rng.normal(0, 0.05, (len(scene.frame), 2))
    joints = _joint_records(scene.joints.astype(np.float64), rng).reshape(len(scene.frame), -1)
    values = np.concatenate((lean, joints), axis=1)
    text = _text_template(scene) % tuple(values.ravel().tolist())
    if rng.random() < _CRLF_CHANCE:
        text = text.replace("\n", "\r\n")
    return text.encode("ascii")


def _joint_records(joints: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (B, V, 12): position, place in the depth and colour images, orientation, tracking state."""
    x, y, z = np.moveaxis(joints, 2, 0)
    records = np.empty((*joints.shape[:2], _NUMBERS_PER_JOINT))
    records[..., :3] = joints
    records[..., 3] = 256 + 365 * x / z
    records[..., 4] = 212 - 365 * y / z
    records[..., 5] = 960 + 1057 * x / z
    records[..., 6] = 540 - 1057 * y / z
    turns = rng.normal(size=(joints.shape[1], 4)) + rng.normal(0, 0.02, (*joints.shape[:2], 4))
    records[..., 7:11] = turns / np.linalg.norm(turns, axis=2, keepdims=True)
    records[:, _LEAF_JOINTS, 7:11] = 0
    records[..., 11] = 2 - (rng.random(joints.shape[:2]) < 0.05)
    return records


def _text_template(scene: RawBodies) -> str:
    """Return the file's text with a format code for each number: two for a body's lean, then its joint records."""
    count = scene.joints.shape[1]
    rows = ("%.7G " * (_NUMBERS_PER_JOINT - 1) + "%.7G\n") * count
    bodies = [f"{body_id} 0 1 1 1 1 0 %.7G %.7G 2\n{count}\n{rows}" for body_id in scene.body_id.tolist()]
    ends = np.searchsorted(scene.frame, np.arange(scene.frames), side="right").tolist()
    starts = [0, *ends[:-1]]
    frames = [f"{end - start}\n{''.join(bodies[start:end])}" for start, end in zip(starts, ends, strict=True)]
    return f"{scene.frames}\n{''.join(frames)}"


_NamedFiles = Iterable[tuple[str, bytes]]


def synthesise(
    dataset: SynthDataset,
    out: Path,
    progress: Progress | None = None,
    *,
    clips: int,
    classes: int,
    setups: int,
    subjects: int,
    seed: int,
) -> None:
    """Write synthetic raw files in the NTU format; the same arguments give the same bytes.

    Args:
        dataset: the dataset whose names and classes to use.
        out: a folder that does not exist or is empty, or, ending in `.zip`, an archive that does not exist.
        progress: counts files.
        clips: number of files.
        classes: number of classes, spread evenly over the dataset's.
        setups: number of setups.
        subjects: number of subjects, alternately of the train and the test split.
        seed: fixes every random draw.

    Raises:
        UsageError: a number is out of the dataset's range.
        OutputError: the output already exists or cannot be written.
    """
    infos = plan_clips(dataset, clips=clips, classes=classes, setups=setups, subjects=subjects)
    out = out.resolve()
    files = _make_files(infos, seed, progress or NullProgress())
    if out.suffix == ".zip":
        with atomic_file(out) as partial:
            _write_archive(partial, files)
    else:
        with atomic_folder(out) as partial:
            for name, data in files:
                (partial / name).write_bytes(data)


def _make_files(infos: list[ClipInfo], seed: int, progress: Progress) -> _NamedFiles:
    progress.start("synth", len(infos), "files")
    for info in infos:
        yield f"{info.id}.skeleton", make_clip_text(info, seed)
        progress.advance(1)


def _write_archive(path: Path, files: _NamedFiles) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files:
            # The constant date of ZipInfo: with the present time, equal archives would differ.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, compresslevel=1)
