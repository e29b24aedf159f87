"""Readers of PKU-MMD I and II, whose raw files are videos with labels; each label gives a clip."""

from collections.abc import Iterable, Iterator, Sequence

from mamp_pipeline.cleaning.video_segment import make_segment_clip, segment_notes
from mamp_pipeline.datasets.base import DatasetReader
from mamp_pipeline.datasets.clips import Clip, ClipInfo, RawClip, RawSegment
from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.datasets.pku.discover import describe_split_lists, find_videos
from mamp_pipeline.datasets.pku.names import VIDEO_NAME_PATTERNS, Phase, parse_video_name
from mamp_pipeline.datasets.pku.video import read_video_clips
from mamp_schemas.datasets.pku import PKU1, PKU2
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.policy import IngestPolicy


class PkuReader(DatasetReader):
    """Reads videos, each a skeleton file with a label file; split lists say on which side a video is.

    A clip's id is `VIDEO_INDEX`, by its label's 0-based position in the label file.

    Args:
        options: the dataset.
        phase: whose form of names its videos have.
    """

    def __init__(self, options: DatasetSpec, phase: Phase) -> None:
        super().__init__(options)
        self._phase = phase
        self.name_pattern = VIDEO_NAME_PATTERNS[phase]

    def parse_name(self, file_name: str) -> ClipInfo | None:
        """Return what the name of a skeleton or label file says about its video."""
        return parse_video_name(self._phase, file_name)

    def collect(self, files: Iterable[RawSource]) -> list[RawSource]:
        """Return the videos among files, each with its labels and sides, sorted by id."""
        return find_videos(files, self._phase)

    def notes(self, sources: Sequence[RawSource]) -> Iterator[str]:
        """Yield which protocols have no split list, or not for all videos."""
        return describe_split_lists(sources)

    def read(self, source: RawSource, info: ClipInfo) -> list[RawClip]:
        """Return the labelled segments of a video."""
        return read_video_clips(source, info)

    def clean(self, content: RawSegment, policy: IngestPolicy) -> Clip | None:
        """Return the clip of a labelled segment; None where it holds no position."""
        return make_segment_clip(content, policy, self.options.skeleton)

    def cleaning_notes(self, content: RawSegment, policy: IngestPolicy) -> Iterator[str]:
        """Yield how a segment was cut."""
        return segment_notes(content, policy)

    def source_id(self, clip_id: str) -> str:
        """Return the id of a clip's video."""
        return clip_id.rpartition("_")[0]

    def parse_id(self, clip_id: str) -> ClipInfo | None:
        """Return what a clip's id `VIDEO_INDEX` says."""
        return super().parse_id(clip_id) if clip_id.rpartition("_")[2].isdecimal() else None


PKU1_READER = PkuReader(PKU1, "pku1")
PKU2_READER = PkuReader(PKU2, "pku2")
