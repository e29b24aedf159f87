"""The raw format that a layout describes."""

from dataclasses import dataclass

from mamp_pipeline.raw.bodies import ClipInfo, RawBodies
from mamp_pipeline.raw.custom.csv_files import parse_csv
from mamp_pipeline.raw.custom.json_files import parse_json
from mamp_pipeline.raw.custom.names import clip_id, read_name
from mamp_pipeline.raw.custom.npy_files import parse_npy
from mamp_pipeline.raw.custom.positions import Positions
from mamp_pipeline.raw.custom.settle import settle
from mamp_schemas.layout import Layout
from mamp_schemas.layout_files import CsvFiles, NpyFiles


@dataclass(frozen=True, slots=True)
class CustomFormat:
    """How files of a layout are found and read; a file is known by its path inside a folder or archive."""

    layout: Layout

    @property
    def form(self) -> str:
        """What its file names look like, for messages."""
        return f"*{self.suffix}"

    @property
    def suffix(self) -> str:
        """How its file names end."""
        return self.layout.files.suffix

    def info(self, member: str) -> ClipInfo | None:
        """Tell a file of the layout by its suffix; what else its name says is left to `read`, which gives reasons."""
        return ClipInfo(clip_id(member, self.suffix), -1) if member.endswith(self.suffix) else None

    def read(self, member: str, data: bytes) -> tuple[ClipInfo, RawBodies]:
        """Read a raw file from its path and bytes.

        Raises:
            RawFileError: the name does not match the layout's `names`, its label is no class, or the content is
                damaged or not as the layout says.
        """
        return read_name(member, self.layout), settle(self._parse(data), self.layout)

    def _parse(self, data: bytes) -> Positions:
        files, skeleton = self.layout.files, self.layout.skeleton
        if isinstance(files, CsvFiles):
            return parse_csv(data, files, skeleton)
        if isinstance(files, NpyFiles):
            return parse_npy(data, files, skeleton)
        return parse_json(data, files, skeleton)
