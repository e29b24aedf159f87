"""A raw file in a folder, an archive or a bucket: where it is and how to recognise it. Small and picklable."""

from dataclasses import dataclass
from typing import NamedTuple

from mamp_pipeline.datasets.file_names import GZIP
from mamp_schemas.errors import printable
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.splits import UNLISTED


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """Where a zip archive holds a member: all that is needed to read it, besides the archive's path.

    Attributes:
        crc: CRC-32 of the unpacked bytes.
        offset: of the member's local header, in bytes.
        compressed_size: bytes in the archive.
        deflated: whether they are deflated, else stored as they are.
    """

    crc: int
    offset: int
    compressed_size: int
    deflated: bool


@dataclass(frozen=True, slots=True)
class VideoAnnotations:
    """What the raw input says about a video besides its skeletons.

    Attributes:
        labels: its label file; None if none was found.
        labels_crc: CRC-32 of that file.
        xsub, xview: its split by the split lists; see `mamp_schemas.models.splits`.
        problem: why it gives no clip; empty if nothing is missing.
    """

    labels: "RawSource | None" = None
    labels_crc: int = 0
    xsub: int = UNLISTED
    xview: int = UNLISTED
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RawSource:
    """One raw file in a folder or archive.

    Attributes:
        id: the clip's id, or the id of the video that the clips are cut out of.
        container: the folder or zip archive as named by the user.
        member: path inside it, with `/`.
        size: bytes of the file, as an archive unpacks it.
        entry: where an archive holds it; None in a folder.
        modified: for a file in a folder the time of its last change, in nanoseconds since the epoch; for an object
            in a bucket 64 bits of its ETag; 0 in an archive.
        changed: for a file in a folder the time at which its content or its attributes changed last, which no program
            can set, in nanoseconds since the epoch; for an archive's member the archive's own `modified`; else 0.
        video: what else belongs to a video; None if the file is a clip.
    """

    id: str
    container: StoragePath
    member: str
    size: int
    entry: ArchiveEntry | None
    modified: int = 0
    changed: int = 0
    video: VideoAnnotations | None = None

    @property
    def change_token(self) -> int:
        """A number that differs for an edited file of the same size: the member's CRC-32, or `modified`."""
        return self.entry.crc if self.entry else self.modified

    @property
    def file_name(self) -> str:
        """The name without folders."""
        return self.member.rpartition("/")[2]

    @property
    def gzipped(self) -> bool:
        """Whether the file itself is gzipped, by its name."""
        return self.member[-len(GZIP) :].lower() == GZIP

    @property
    def crc(self) -> int | None:
        """CRC-32 as the archive gives it; None for a file in a folder."""
        return self.entry.crc if self.entry else None

    @property
    def location(self) -> str:
        """Container and member, for messages."""
        return printable(f"{self.container}/{self.member}")

    @property
    def files(self) -> "tuple[RawSource, ...]":
        """The file itself, and for a video its labels."""
        return (self, self.video.labels) if self.video and self.video.labels else (self,)

    @property
    def portable_path(self) -> str:
        """The path without the folders above the container: a store says nothing about the machine it was made on."""
        return printable(f"{self.container.name}/{self.member}")

    @property
    def identity(self) -> str:
        """Text that differs for any other input, an edited file of the same name and size included."""
        video = self.video
        annotations = f" {video.labels_crc:08x} {video.xsub} {video.xview} {video.problem}" if video else ""
        return f"{self.id} {self.size} {self.change_token}{annotations}"


class CollectedFiles(NamedTuple):
    """Files, as a dataset's reader divides them.

    Attributes:
        sources: the dataset's raw files, each with its id, sorted by id.
        unused: all files that belong to none of the sources, each with the reason where the reader has one of its own.
    """

    sources: list[RawSource]
    unused: list[tuple[RawSource, str | None]]
