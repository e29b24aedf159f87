"""Reader of NW-UCLA: one JSON file a clip."""

import re
from dataclasses import replace
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from mamp_pipeline.datasets.base import ClipFileReader
from mamp_pipeline.datasets.clips import ClipInfo, RawBodies, RawClip
from mamp_pipeline.datasets.file_names import strip_suffix
from mamp_pipeline.datasets.io.number_text import reject_large_json
from mamp_pipeline.datasets.io.read import read_source
from mamp_pipeline.datasets.io.source import RawSource
from mamp_schemas.datasets.nwucla import NWUCLA
from mamp_schemas.errors import RawFileError, printable

_SUFFIX = ".json"
_NAME = re.compile(r"a\d\d_s(?P<subject>\d\d)_e(?P<replication>\d\d)_v(?P<camera>\d\d)", re.ASCII | re.IGNORECASE)
_ACTIONS = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12)
"""The actions in names, in the order of the labels."""
_JOINTS = len(NWUCLA.skeleton.joints)

_QUOTES = 8
"""Quotation marks in a file: around three keys and one value."""

_Frame = Annotated[list[tuple[float, float, float]], Field(min_length=_JOINTS, max_length=_JOINTS), FailFast()]


class _Recording(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")

    skeletons: Annotated[list[_Frame], FailFast()]


class _UnnamedFile(_Recording):
    file_name: Any = None
    label: Any = None


class _File(_Recording):
    file_name: str
    label: int = Field(ge=1, le=NWUCLA.classes)


def parse_nwucla_name(file_name: str) -> ClipInfo | None:
    """Read a name of the form `aAA_sSS_eEE_vVV.json`, in any case; None for any other.

    The label is -1 because it is in the file; AA is not the label (the dataset's authors left out actions 7 and 10).
    """
    stem = strip_suffix(file_name, _SUFFIX)
    match = _NAME.fullmatch(stem) if stem else None
    if match is None:
        return None
    return ClipInfo(
        id=match[0].lower(),
        label=-1,
        subject=int(match["subject"]),
        camera=int(match["camera"]),
        replication=int(match["replication"]),
    )


def parse_nwucla(data: bytes, clip_id: str) -> tuple[int, RawBodies]:
    """Parse one file; every frame holds one body, with id 0.

    Args:
        data: the file's bytes.
        clip_id: the id that the key `file_name` must have.

    Returns:
        The 0-based label and the bodies.

    Raises:
        RawFileError: not JSON, a key that is missing, unknown or there twice, a frame without 20 joints of 3 finite
            numbers, a label outside 1..10 or other than that of the action in the name, another clip's name.
    """
    content = _validate(data, _File)
    if data.count(b'"') != _QUOTES:
        raise RawFileError("a key is there twice, or text is written with escapes")
    if content.file_name.lower() != clip_id:
        raise RawFileError(f"file_name is '{printable(content.file_name)}', expected '{clip_id}'")
    if _action(clip_id) not in _ACTIONS or _ACTIONS.index(_action(clip_id)) != content.label - 1:
        raise RawFileError(f"label is {content.label}, which is not that of action {_action(clip_id)} in its name")
    return content.label - 1, _make_bodies(content)


def parse_unnamed_nwucla(data: bytes) -> RawBodies:
    """Parse one file as `parse_nwucla` does, without a look at its label and file name, which it need not have."""
    content = _validate(data, _UnnamedFile)
    if data.count(b'"skeletons"') != 1:
        raise RawFileError("the key 'skeletons' is there twice, or written with escapes")
    return _make_bodies(content)


_Content = TypeVar("_Content", bound=_Recording)


def _validate(data: bytes, model: type[_Content]) -> _Content:
    reject_large_json(data.decode("latin-1"))  # any bytes: brackets and commas are ASCII
    try:
        return model.model_validate_json(data)
    except ValidationError as problem:
        raise RawFileError(_validation_message(problem)) from None


def _make_bodies(content: _Recording) -> RawBodies:
    frames = len(content.skeletons)
    with np.errstate(over="ignore"):
        joints = np.array(content.skeletons, dtype=np.float64).reshape(frames, _JOINTS, 3).astype(np.float32)
    if not np.isfinite(joints).all():
        raise RawFileError("skeletons: a coordinate is beyond the range of float32")
    return RawBodies(
        frames=frames,
        frame=np.arange(frames, dtype=np.int64),
        body_id=np.zeros(frames, dtype=np.int64),
        joints=joints,
    )


def _action(clip_id: str) -> int:
    return int(clip_id[1:3])


def _validation_message(problem: ValidationError) -> str:
    first = problem.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key '{where}', besides file_name, skeletons and label"
    return f"{where}: {first['msg']}" if where else str(first["msg"])


class NwuclaReader(ClipFileReader):
    """Reads `.json` files, one clip each."""

    name_pattern = "aAA_sSS_eEE_vVV.json"
    likeness = re.compile(r"a\d+_s\d+_e\d+_v\d+", re.ASCII | re.IGNORECASE)

    def parse_name(self, file_name: str) -> ClipInfo | None:
        """Return what a name of the form `aAA_sSS_eEE_vVV.json` says; None for any other."""
        return parse_nwucla_name(file_name)

    def why_foreign(self, info: ClipInfo) -> str:
        """Return why a clip of the dataset's form of names is none of its clips; empty if it is one."""
        if _action(info.id) not in _ACTIONS:
            return f"action {_action(info.id)}, {NWUCLA.title} has 1 to 12 without 7 and 10"
        return super().why_foreign(info)

    def parse(self, data: bytes, info: ClipInfo) -> tuple[ClipInfo, RawBodies]:
        """Return the clip that a file's JSON holds, with the label that it names."""
        label, bodies = parse_nwucla(data, info.id)
        return replace(info, label=label), bodies

    def read_unnamed(self, source: RawSource, info: ClipInfo) -> list[RawClip]:
        """Return the clip of a file that need not name a clip and a label."""
        return [RawClip(info, parse_unnamed_nwucla(read_source(source)), source)]


NWUCLA_READER = NwuclaReader(NWUCLA)
