"""Recordings: one file a clip, told by its suffix and read by its layout."""

from mamp_pipeline.raw.bodies import ClipInfo, RawBodies, RawClip
from mamp_pipeline.raw.custom.csv_files import parse_csv
from mamp_pipeline.raw.custom.json_files import parse_json
from mamp_pipeline.raw.custom.names import clip_id, parse_recording_name
from mamp_pipeline.raw.custom.npy_files import parse_npy
from mamp_pipeline.raw.custom.positions import Positions
from mamp_pipeline.raw.custom.settle import normalise
from mamp_pipeline.raw.entries import RawSource
from mamp_pipeline.raw.reading import read_source
from mamp_schemas.layout import Layout
from mamp_schemas.layout_files import CsvFiles, NpyFiles


def parse_recording_path(suffix: str, member: str) -> ClipInfo | None:
    """Tell a recording by its suffix, None for any other file.

    What else its path says is left to `open_recording`, which gives reasons.

    Args:
        suffix: the layout's.
        member: path inside a folder or archive.
    """
    return ClipInfo(clip_id(member, suffix), -1) if member.endswith(suffix) else None


def read_recording(source: RawSource, layout: Layout) -> list[RawClip]:
    """Read a recording: a single clip.

    Raises:
        RawFileError: the name does not match the layout's `names`, its label is no class, or the content is
            damaged or not as the layout says.
    """
    info = parse_recording_name(source.member, layout)
    return [RawClip(info, parse_recording(read_source(source), layout), source)]


def parse_recording(data: bytes, layout: Layout) -> RawBodies:
    """Parse a recording's bytes.

    Raises:
        RawFileError: the content is damaged or not as the layout says.
    """
    return normalise(_parse_positions(data, layout), layout)


def _parse_positions(data: bytes, layout: Layout) -> Positions:
    files, skeleton = layout.files, layout.skeleton
    if isinstance(files, CsvFiles):
        return parse_csv(data, files, skeleton)
    if isinstance(files, NpyFiles):
        return parse_npy(data, files, skeleton)
    return parse_json(data, files, skeleton)
