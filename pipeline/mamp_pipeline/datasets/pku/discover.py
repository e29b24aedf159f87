"""Finds PKU-MMD's videos and joins the skeletons, the labels and the split lists of each."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from mamp_pipeline.datasets.io.read import read_head, read_source
from mamp_pipeline.datasets.io.source import RawSource, VideoAnnotations
from mamp_pipeline.datasets.pku.names import VIDEO_SUFFIX, Phase, parse_video_name
from mamp_pipeline.datasets.pku.split_lists import (
    PROTOCOL_TITLES,
    ListedProtocol,
    SplitList,
    detect_protocol,
    find_split_code,
    parse_split_list,
)
from mamp_schemas.errors import RawFileError, RawInputError
from mamp_schemas.models.protocol import UNLISTED

_LIST_BYTES = 2**20
_HEAD_BYTES = 64
_DUPLICATE_REMEDY = "Name each folder or archive once."

_ListFiles = dict[ListedProtocol, tuple[SplitList, RawSource]]
_SplitLists = dict[ListedProtocol, SplitList]


def find_videos(files: Iterable[RawSource], phase: Phase) -> list[RawSource]:
    """Find a phase's videos: skeletons, labels and split lists.

    A file named like a video holds labels if its first line has commas, else skeletons. If one of the two is damaged
    so that they look alike, the names of their folders decide.

    Args:
        files: every file of the raw input, with any id.
        phase: whose videos to look for.

    Returns:
        The skeleton files with their annotations, sorted by video. A video whose labels or skeletons are missing is
        included, with that problem.

    Raises:
        RawInputError: a file is there twice, or a split list cannot be read or contradicts another.
    """
    videos: dict[str, list[RawSource]] = {}
    lists: _ListFiles = {}
    for file in files:
        video = parse_video_name(phase, file.file_name)
        if video is not None:
            videos.setdefault(video.id, []).append(replace(file, id=video.id))
        elif file.file_name.endswith(VIDEO_SUFFIX) and file.size <= _LIST_BYTES:
            _add_list(lists, file, phase)
    split_lists = {protocol: split for protocol, (split, _) in lists.items()}
    return [_annotate_video(*_skeletons_and_labels(videos[name]), split_lists) for name in sorted(videos)]


def describe_split_lists(sources: Sequence[RawSource]) -> Iterator[str]:
    """Yield which protocols have no split list, and how many videos no list names."""
    videos = [source.video for source in sources if source.video is not None]
    for protocol, title in PROTOCOL_TITLES.items() if videos else ():
        unlisted = sum(getattr(video, protocol) == UNLISTED for video in videos)
        if unlisted == len(videos):
            yield f"no {title} list in --raw names any of the videos: there will be no manifest of {protocol}"
        elif unlisted:
            yield f"{unlisted:,} videos are in no {title} list: kept, but in no manifest of {protocol}"


def _skeletons_and_labels(files: Sequence[RawSource]) -> tuple[RawSource | None, RawSource | None]:
    """Return a video's skeleton file and its label file."""
    labelled = [_holds_labels(file) for file in files]
    if len(files) == 2 and labelled[0] == labelled[1] and sum(map(_in_label_folder, files)) == 1:
        labelled = [_in_label_folder(file) for file in files]
    skeletons = [file for file, has_labels in zip(files, labelled, strict=True) if not has_labels]
    labels = [file for file, has_labels in zip(files, labelled, strict=True) if has_labels]
    for first, *others in (group for group in (skeletons, labels) if group):
        if others:
            raise RawInputError(
                f"video {first.id} is there twice: {first.location} and {others[0].location}", remedy=_DUPLICATE_REMEDY
            )
    return next(iter(skeletons), None), next(iter(labels), None)


def _holds_labels(file: RawSource) -> bool:
    try:
        head = read_head(file, _HEAD_BYTES)
    except RawFileError:  # quarantined later, with the reason
        head = b""
    if head.strip():
        return b"," in head
    return _in_label_folder(file)


def _in_label_folder(file: RawSource) -> bool:
    return "label" in str(PurePosixPath(file.portable_path).parent).lower()


def _add_list(lists: _ListFiles, file: RawSource, phase: Phase) -> None:
    try:
        text = read_source(file).decode("utf-8-sig", errors="replace")
    except RawFileError as problem:
        raise RawInputError(f"{file.location}: {problem.reason}") from None
    split = parse_split_list(text, phase, file.location)
    if split is None:
        return
    protocol = detect_protocol(split, file.file_name, file.location)
    first, first_file = lists.setdefault(protocol, (split, file))
    if first != split:
        raise RawInputError(
            f"two {PROTOCOL_TITLES[protocol]} lists that differ: {first_file.location} and {file.location}",
            remedy="Keep the one that belongs to the release, away from --raw the other.",
        )


def _annotate_video(skeletons: RawSource | None, labels: RawSource | None, split_lists: _SplitLists) -> RawSource:
    """Return the skeleton file with its annotations, or the label file alone with that problem."""
    if skeletons is None:
        if labels is None:
            raise RawInputError("a video without any file")
        return replace(labels, video=VideoAnnotations(problem="no skeleton file of this video was found"))
    xsub, xview = (find_split_code(split_lists, protocol, skeletons.id) for protocol in PROTOCOL_TITLES)
    if labels is None:
        annotations = VideoAnnotations(None, 0, xsub, xview, problem="no label file of this video was found")
    else:
        annotations = VideoAnnotations(labels, _checksum(labels), xsub, xview)
    return replace(skeletons, video=annotations)


def _checksum(file: RawSource) -> int:
    if file.crc is not None:
        return file.crc
    try:
        return zlib.crc32(read_source(file))
    except RawFileError:  # quarantined later, with the reason
        return 0
