"""PKU-MMD's split lists. Parses them and detects their protocol by content rather than by file name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mamp_pipeline.datasets.pku.names import Phase, is_video_name
from mamp_schemas.errors import RawInputError
from mamp_schemas.models.protocol import LISTED_TEST, LISTED_TRAIN, UNLISTED

ListedProtocol = Literal["xsub", "xview"]
PROTOCOL_TITLES: dict[ListedProtocol, str] = {"xsub": "cross-subject", "xview": "cross-view"}

_TEST_HEADER = re.compile("valid|test", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SplitList:
    """The videos of a split list's two sides."""

    train: frozenset[str]
    test: frozenset[str]

    def split_code(self, video: str) -> int:
        """Return the side of a video, as in the store's columns `xsub` and `xview`."""
        if video in self.train:
            return LISTED_TRAIN
        return LISTED_TEST if video in self.test else UNLISTED


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
        RawInputError: a word among the names is no video, or a video is on both sides.
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
                raise RawInputError(f"{location}, line {number}: '{name}' is no video of this phase")
            groups[-1].append(name)
    if len(groups) != 2 or not any(groups):
        return None
    first, second = (frozenset(group) for group in groups)
    if both := sorted(first & second):
        raise RawInputError(f"{location}: {len(both)} videos are on both sides, the first is {both[0]}")
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

    A list whose sides share no view splits by view; one whose sides share no recording (a video's name without its
    view) splits by subject. If both or neither is the case, the file's name decides.

    Raises:
        RawInputError: neither content nor name decides, or they contradict each other.
    """
    content, name = _protocol_by_content(split), _protocol_by_name(file_name)
    if content and name and content != name:
        raise RawInputError(
            f"{location}: named like a {PROTOCOL_TITLES[name]} list, "
            f"but its sides are those of a {PROTOCOL_TITLES[content]} list",
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
    """Return a video's side in a protocol; `UNLISTED` if there is no list of the protocol."""
    return lists[protocol].split_code(video) if protocol in lists else UNLISTED
