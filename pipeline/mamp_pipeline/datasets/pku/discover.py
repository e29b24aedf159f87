"""Finds PKU-MMD's videos and joins the skeletons, the labels and the split lists of each.

Video names tell the two phases apart. The protocol of a split list shows in its content, not in its name.
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

from mamp_pipeline.datasets.base import same_clip_error
from mamp_pipeline.datasets.clips import ClipInfo
from mamp_pipeline.datasets.file_names import strip_suffix
from mamp_pipeline.datasets.io.read import read_head, read_source
from mamp_pipeline.datasets.io.source import CollectedFiles, RawSource, VideoAnnotations
from mamp_schemas.errors import RawFileError, RawInputError, printable
from mamp_schemas.models.base import shorten
from mamp_schemas.models.splits import LISTED_TEST, LISTED_TRAIN, UNLISTED

Phase = Literal["pku1", "pku2"]

VIDEO_SUFFIX = ".txt"

VIDEO_NAME_PATTERNS: dict[Phase, str] = {"pku1": "NNNN-V.txt", "pku2": "AaaNnn-V.txt"}
"""The form of a phase's file names; V is L, M or R."""

_VIDEO_NAMES: dict[Phase, re.Pattern[str]] = {
    "pku1": re.compile(r"[0-9]{4}-([LMR])"),
    "pku2": re.compile(r"A[0-9]{2}N[0-9]{2}-([LMR])"),
}
VIDEO_LIKENESS = re.compile(r"^(\d+|A\d+N\d+)[-_ ]?[LMR](?![A-Za-z])", re.ASCII | re.IGNORECASE)
"""Matches names that resemble those of videos."""

_CAMERAS = {"L": 1, "M": 2, "R": 3}
_PKU1_RECORDINGS = 364
_PKU2_ACTIONS, _PKU2_RECORDINGS = 26, 13
"""The numbers of videos: 0001 to 0364 in phase I, A01 to A26 and N01 to N13 in phase II."""


def is_video_name(phase: Phase, name: str) -> bool:
    """Return whether a name, without suffix, is that of a video of this phase."""
    return _VIDEO_NAMES[phase].fullmatch(name) is not None


def parse_video_name(phase: Phase, file_name: str) -> ClipInfo | None:
    """Return what a file's name, in any case, says; views L, M and R become cameras 1, 2 and 3; None for others."""
    name = (strip_suffix(file_name, VIDEO_SUFFIX) or "").upper()
    match = _VIDEO_NAMES[phase].fullmatch(name)
    if match is None:
        return None
    return ClipInfo(id=name, label=-1, camera=_CAMERAS[match[1]])


def find_foreign_video(phase: Phase, name: str) -> str:
    """Return why a name of a phase's form is the name of none of its videos; empty if it is one's."""
    if phase == "pku1":
        return (
            ""
            if 1 <= int(name[:4]) <= _PKU1_RECORDINGS
            else f"video {name[:4]}, expected 0001 to {_PKU1_RECORDINGS:04}"
        )
    if not (1 <= int(name[1:3]) <= _PKU2_ACTIONS and 1 <= int(name[4:6]) <= _PKU2_RECORDINGS):
        return f"video {name[:6]}, expected A01 to A{_PKU2_ACTIONS} and N01 to N{_PKU2_RECORDINGS}"
    return ""


_LIST_BYTES = 2**20
_HEAD_BYTES = 64

ListedProtocol = Literal["xsub", "xview"]
PROTOCOL_TITLES: dict[ListedProtocol, str] = {"xsub": "cross-subject", "xview": "cross-view"}

_TEST_HEADER = re.compile("valid|test", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SplitList:
    """The training and the test videos of a split list."""

    train: frozenset[str]
    test: frozenset[str]

    def split_code(self, video: str) -> int:
        """Return the code of a video's split, as in the store's columns `xsub` and `xview`."""
        if video in self.train:
            return LISTED_TRAIN
        return LISTED_TEST if video in self.test else UNLISTED


_LIST_REMEDY = "Fetch the split list again, or move it out of --raw: its protocol then has no split."


def parse_split_list(text: str, phase: Phase, location: str) -> SplitList | None:
    """Parse a split list: a header and the training videos, a header and the validation videos.

    Names are separated by commas or blanks, over any number of lines. The first header means training unless it
    mentions validation or testing.

    Args:
        text: the file's text.
        phase: whose videos it must name.
        location: the file, named in errors.

    Returns:
        The list; None if the file is something else, such as a list of the other phase.

    Raises:
        RawInputError: a word among the names is no video, or a video is in both splits.
    """
    headers: list[str] = []
    groups: list[list[str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        header, names = _split_line(line, phase)
        if header:
            headers.append(header)
            groups.append([])
        if names and not groups:
            return None
        for name in names:
            if not is_video_name(phase, name):
                raise RawInputError(
                    f"{location}, line {number}: '{shorten(name, 40)}' is no video of this phase",
                    remedy=_LIST_REMEDY,
                )
            groups[-1].append(name)
    if len(groups) != 2 or not any(groups):
        return None
    first, second = (frozenset(group) for group in groups)
    if both := sorted(first & second):
        raise RawInputError(
            f"{location}: {len(both)} videos are in both splits, the first is {both[0]}", remedy=_LIST_REMEDY
        )
    return SplitList(second, first) if _TEST_HEADER.search(headers[0]) else SplitList(first, second)


def _split_line(line: str, phase: Phase) -> tuple[str, list[str]]:
    """Split a line into a header and names; text counts as names if most of its words are names of videos."""
    header, _, rest = line.rpartition(":")
    words = re.split(r"[,\s]+", rest.strip(" ,\t"))
    if 2 * sum(is_video_name(phase, word) for word in words) >= len(words):
        return header.strip(), words
    return line.strip(" ,\t"), []


def detect_protocol(split: SplitList, file_name: str, location: str) -> ListedProtocol:
    """Return the protocol of a split list.

    A list whose splits share no view splits by view; one whose splits share no recording (a video's name without its
    view) splits by subject. If both or neither is the case, the file's name decides.

    Raises:
        RawInputError: neither content nor name decides, or they contradict each other.
    """
    content, name = _protocol_by_content(split), _protocol_by_name(file_name)
    if content and name and content != name:
        raise RawInputError(
            f"{location}: named like a {PROTOCOL_TITLES[name]} list, "
            f"but its splits are those of a {PROTOCOL_TITLES[content]} list",
            remedy="Rename the file by what it holds.",
        )
    protocol = content or name
    if protocol is None:
        raise RawInputError(
            f"{location}: a split list that shows neither by its name nor by its videos "
            f"whether it is {PROTOCOL_TITLES['xsub']} "
            f"or {PROTOCOL_TITLES['xview']}",
            remedy="Give the file a name that says 'subject' or 'view'.",
        )
    return protocol


def _protocol_by_content(split: SplitList) -> ListedProtocol | None:
    by_view = not {name[-1] for name in split.train} & {name[-1] for name in split.test}
    by_subject = not {name[:-2] for name in split.train} & {name[:-2] for name in split.test}
    if by_view == by_subject:
        return None
    return "xview" if by_view else "xsub"


def _protocol_by_name(file_name: str) -> ListedProtocol | None:
    view, subject = "view" in file_name.lower(), "sub" in file_name.lower()
    if view == subject:
        return None
    return "xview" if view else "xsub"


def find_split_code(lists: Mapping[ListedProtocol, SplitList], protocol: ListedProtocol, video: str) -> int:
    """Return the code of a video's split in a protocol; `UNLISTED` if there is no list of the protocol."""
    return lists[protocol].split_code(video) if protocol in lists else UNLISTED


_ListFiles = dict[ListedProtocol, tuple[SplitList, RawSource]]
_SplitLists = dict[ListedProtocol, SplitList]


def find_videos(files: Iterable[RawSource], phase: Phase, *, any_name: bool = False) -> CollectedFiles:
    """Find a phase's videos: skeletons, labels and split lists.

    A file named like a video holds labels if its first line has commas, else skeletons. If one of the two is damaged
    so that they look alike, the names of their folders decide.

    Args:
        files: every file of the raw input, with any id.
        phase: whose videos to look for.
        any_name: every file is one of a video's, whatever its name, unless it is a split list.

    Returns:
        The skeleton files with their annotations, sorted by video, and the files that are none of a video's. A video
        whose labels or skeletons are missing is included, with that problem.

    Raises:
        RawInputError: a file is there twice, or a split list contradicts another or itself.
    """
    videos: dict[str, list[RawSource]] = {}
    lists: _ListFiles = {}
    unused: list[tuple[RawSource, str | None]] = []
    for file in files:
        video = parse_video_name(phase, file.file_name)
        stem = strip_suffix(file.file_name, VIDEO_SUFFIX)
        if video is not None:
            videos.setdefault(video.id, []).append(replace(file, id=video.id))
            continue
        try:
            if stem is not None and file.size <= _LIST_BYTES:
                text = read_source(file).decode("utf-8-sig", errors="replace")
                if _add_list(lists, file, text, phase):
                    continue
                if _is_other_list(text, phase):
                    unused.append((file, "a split list of videos of the other phase"))
                    continue
        except RawFileError as problem:
            unused.append((file, problem.reason))
            continue
        if any_name:
            name = printable(file.file_name if stem is None else stem)
            videos.setdefault(name, []).append(replace(file, id=name))
        else:
            unused.append((file, None))
    split_lists = {protocol: split for protocol, (split, _) in lists.items()}
    sources = [_annotate_video(*_skeletons_and_labels(videos[name]), split_lists) for name in sorted(videos)]
    return CollectedFiles(sources, unused)


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
            raise same_clip_error(f"video {first.id}", first, others[0])
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


def _is_other_list(text: str, phase: Phase) -> bool:
    """Return whether a text is a split list of the other phase."""
    try:
        return parse_split_list(text, "pku2" if phase == "pku1" else "pku1", "") is not None
    except RawInputError:
        return True


def _add_list(lists: _ListFiles, file: RawSource, text: str, phase: Phase) -> bool:
    """Add a file's split list, if its text is one; return whether it is.

    Raises:
        RawInputError: the list contradicts itself or another.
    """
    split = parse_split_list(text, phase, file.location)
    if split is None:
        return False
    protocol = detect_protocol(split, file.file_name, file.location)
    first, first_file = lists.setdefault(protocol, (split, file))
    if first != split:
        raise RawInputError(
            f"two {PROTOCOL_TITLES[protocol]} lists that differ: {first_file.location} and {file.location}",
            remedy="Keep the one of the release, and move the other out of --raw.",
        )
    return True


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
