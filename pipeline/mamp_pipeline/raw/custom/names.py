"""What the path of a recording says of its clip: id, label and numbers."""

import re
from urllib.parse import quote

from mamp_pipeline.raw.bodies import ClipInfo
from mamp_schemas.errors import RawFileError
from mamp_schemas.layout import NUMERIC_NAME_GROUPS, Layout

_MAX_NUMBER = 2**15 - 1
"""The columns of a store hold 16 bits."""

_UNQUOTED = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def clip_id(member: str, suffix: str) -> str:
    """Return the path without its suffix; as clip ids are ASCII, other characters and % become %XX."""
    return quote(member.removesuffix(suffix), safe=_UNQUOTED)


def parse_recording_name(member: str, layout: Layout) -> ClipInfo:
    """Read a path inside a folder or archive.

    Raises:
        RawFileError: the name does not match the layout's `names`, a number is none or too large, or the label is
            none of the classes.
    """
    folder, _, file_name = member.rpartition("/")
    name = file_name.removesuffix(layout.files.suffix)
    match = re.fullmatch(layout.names, name)
    if match is None:
        raise RawFileError(f"name '{name}' does not match the layout's names: {layout.names}")
    groups = match.groupdict()
    numbers = {group: _number(group, groups[group]) for group in NUMERIC_NAME_GROUPS if groups.get(group) is not None}
    label = groups.get("label") if layout.labels == "name" else folder.rpartition("/")[2]
    return ClipInfo(clip_id(member, layout.files.suffix), _class_index(label, layout), **numbers)


def _class_index(label: str | None, layout: Layout) -> int:
    if layout.labels == "none":
        return -1
    if label not in layout.classes:
        what = f"label '{label}'" if label else f"no label in its {layout.labels}; it"
        raise RawFileError(f"{what} is none of the layout's classes: {', '.join(layout.classes)}")
    return layout.classes.index(label)


def _number(group: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > _MAX_NUMBER:
        raise RawFileError(f"{group} '{text}' in its name is not a number from 0 to {_MAX_NUMBER}")
    return int(text)
