"""How one file of own recordings is laid out: CSV, npy or JSON."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mamp_schemas.base import Model

CsvColumn = str | Annotated[int, Field(ge=0)]
"""A CSV column: its header, in whatever case, or its 0-based position."""

Suffix = Annotated[str, Field(pattern=r"^\.\w+$")]


class CsvFiles(Model):
    """CSV: a line for each body in a frame, or, where `joint` is given, for each joint of a body in a frame.

    Attributes:
        suffix: how file names end.
        delimiter: what separates cells.
        header: whether the first line names the columns.
        frame: column of the frame number or time stamp; without it every line is the next frame.
        body: column of the body's id, number or text; without it there is one body.
        joint: column of the joint's name or 0-based number.
        coordinates: a line for each body: the headers of its coordinates, written with {joint} and {axis}, such
            as "{joint}_{axis}", or the position of the first of 3·V columns, joint after joint, x y z. A line
            for each joint: its three columns.
    """

    format: Literal["csv"]
    suffix: Suffix = ".csv"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    header: bool = True
    frame: CsvColumn | None = None
    body: CsvColumn | None = None
    joint: CsvColumn | None = None
    coordinates: CsvColumn | tuple[CsvColumn, CsvColumn, CsvColumn]

    @model_validator(mode="after")
    def _columns_fit(self) -> "CsvFiles":
        each = self.coordinates if isinstance(self.coordinates, tuple) else (self.coordinates,)
        if (self.joint is not None) != (len(each) == 3):
            raise ValueError("coordinates are three columns where there is a joint column, else a single one")
        if self.frame is None and (self.body is not None or self.joint is not None):
            raise ValueError("lines with a body or joint column need a frame column too")
        if isinstance(each[0], str) and len(each) == 1 and not ("{joint}" in each[0] and "{axis}" in each[0]):
            raise ValueError("coordinates must hold {joint} and {axis}, or be the position of the first column")
        if not self.header and any(isinstance(column, str) for column in (self.frame, self.body, self.joint, *each)):
            raise ValueError("without a header, columns are given by position")
        return self


class NpyFiles(Model):
    """NumPy's npy: one array.

    Attributes:
        suffix: how file names end.
        order: its axes, of T frames, V joints, C = 3 coordinates and, where there are several bodies, M bodies: TVC,
            MTVC, TMVC, CTVM and so on.
    """

    format: Literal["npy"]
    suffix: Suffix = ".npy"
    order: str

    @model_validator(mode="after")
    def _axes_known(self) -> "NpyFiles":
        if sorted(self.order) not in (sorted("TVC"), sorted("MTVC")):
            raise ValueError(f"order must name T, V and C, and M where there are bodies, once each; got '{self.order}'")
        return self


class JsonFiles(Model):
    """JSON: a list of frames. A place is keys joined by dots, empty for the thing itself.

    Joints are a list of V points or an object of points by joint name; a point is [x, y, z] or an object with x, y
    and z, whose other keys do not matter. null, and a list without items, stand for what is missing.

    Attributes:
        suffix: how file names end.
        frames: place of the list of frames in the file.
        bodies: place of the list of bodies in a frame; without it a frame is one body.
        id: place of a body's id in the body; without it bodies are told apart by their place in the list.
        joints: place of the joints in a body.
    """

    format: Literal["json"]
    suffix: Suffix = ".json"
    frames: str = ""
    bodies: str | None = None
    id: str | None = None
    joints: str = ""

    @model_validator(mode="after")
    def _id_of_several(self) -> "JsonFiles":
        if self.id is not None and self.bodies is None:
            raise ValueError("an id tells several bodies apart: say where the list of bodies is")
        return self
