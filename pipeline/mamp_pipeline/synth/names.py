"""Names of synthetic clips: spread evenly over classes, subjects, cameras, setups and replications."""

from typing import Literal

from mamp_pipeline.raw.bodies import ClipInfo
from mamp_schemas.datasets import DATASETS
from mamp_schemas.errors import UsageError

SynthDataset = Literal["ntu60", "ntu120"]

_SUBJECTS: dict[SynthDataset, int] = {"ntu60": 40, "ntu120": 106}
_SETUPS: dict[SynthDataset, int] = {"ntu60": 17, "ntu120": 32}
_NTU60_SETUPS = 17
_NTU60_ACTIONS = 60
_CAMERAS = 3
_REPLICATIONS = 2


def plan_clips(dataset: SynthDataset, *, clips: int, classes: int, setups: int, subjects: int) -> list[ClipInfo]:
    """Name clips so that every count of them is spread evenly, and both sides of each protocol occur.

    Classes are chosen evenly over the dataset's, so two-person classes occur; NTU-120's later setups hold its
    actions 61-120 only, as in the dataset.

    Raises:
        UsageError: a number is out of the dataset's range, or there are fewer names than clips.
    """
    _check_range("classes", classes, 1, DATASETS[dataset].classes)
    _check_range("setups", setups, 1 if dataset == "ntu60" else 2, _SETUPS[dataset])
    _check_range("subjects", subjects, 2, _SUBJECTS[dataset])
    actions = _spread_evenly(classes, DATASETS[dataset].classes)
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
    train = DATASETS[dataset].protocol("xsub").train
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
