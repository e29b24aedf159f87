"""What the bodies of a store measure, as counts that add up: the same however the work was divided."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from mamp_schemas.models.base import Model

LENGTHS = ("stature", "span", "bone")
COUNTS = ("clips", "joints", "zeros", "coincident", "upright", "upside_down", "still", "z_up", "z_down")
_PREFIX = "size."
_BINS = 100
"""Bins of a length for each factor e: a bin is 1 % wide."""

SHARE_WORTH_SAYING = 0.05
_MOSTLY = 3
STATURES = (0.9, 2.2)
"""Median statures in metres of children and adults."""
_SPANS = (0.03, 10.0)
"""Extents in metres that a body can have, of whatever skeleton: outside of them single clips are in other units."""


def length_key(name: str, metres: float) -> str:
    """Return the key by which a length of a clip is counted; empty for a length that is not known or 0."""
    return f"{_PREFIX}{name}.{round(_BINS * math.log(metres))}" if math.isfinite(metres) and metres > 0 else ""


def count_key(name: str) -> str:
    """Return the key by which one of `COUNTS` is counted."""
    return _PREFIX + name


class BodySizes(Model):
    """Distributions over the clips of a store, each measured in some of its frames.

    Attributes:
        stature: clips by the stature that lengths of arms, legs and torso give, where joint names tell these; the
            key k of a bin stands for exp(k / 100) metres.
        span: clips by the largest extent of a body along an axis, bins as above.
        bone: clips by the median length of a bone, bins as above.
        clips: clips measured.
        joints, zeros, coincident: positions measured; those of them at (0, 0, 0) in the raw file; those that are
            exactly where another joint of the body is.
        upright, upside_down: clips whose shoulders are above their hips, and below.
        still: clips of several frames in which nothing moves.
        z_up, z_down: clips whose torso is along z, the shoulders at the larger z, and at the smaller.
    """

    stature: dict[str, int] = Field(default_factory=dict)
    span: dict[str, int] = Field(default_factory=dict)
    bone: dict[str, int] = Field(default_factory=dict)
    clips: int = 0
    joints: int = 0
    zeros: int = 0
    coincident: int = 0
    upright: int = 0
    upside_down: int = 0
    still: int = 0
    z_up: int = 0
    z_down: int = 0

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> "BodySizes":
        """Return the distributions that counts by `length_key` and `count_key` describe; other counts are left."""
        data: dict[str, Any] = {**{name: {} for name in LENGTHS}, **dict.fromkeys(COUNTS, 0)}
        for key, count in sorted(counts.items()):
            name, _, bin_key = key.removeprefix(_PREFIX).partition(".")
            if key.startswith(_PREFIX) and bin_key:
                data[name][bin_key] = count
            elif key.startswith(_PREFIX):
                data[name] = count
        return cls(**data)

    def plus(self, other: "BodySizes") -> "BodySizes":
        """Return the distributions over the clips of both."""
        data: dict[str, Any] = {name: getattr(self, name) + getattr(other, name) for name in COUNTS}
        for name in LENGTHS:
            data[name] = dict(sorted((Counter(getattr(self, name)) + Counter(getattr(other, name))).items()))
        return BodySizes(**data)

    def quantile(self, length: str, share: float) -> float:
        """Return a quantile of `stature`, `span` or `bone` in metres, to 1 %; NaN if none was measured."""
        bins: dict[str, int] = getattr(self, length)
        rank, seen = share * (sum(bins.values()) - 1), 0
        for key in sorted(bins, key=int):
            seen += bins[key]
            if seen > rank:
                return math.exp(int(key) / _BINS)
        return math.nan

    def summary(self, unit: str = "m") -> str:
        """Return the figures in one line.

        Args:
            unit: what the numbers of the store are in.
        """
        length = "stature" if self.stature else "span"
        if not getattr(self, length):
            return "nothing to measure"
        low, median, high = (self.quantile(length, share) for share in (0.05, 0.5, 0.95))
        what = "stature" if length == "stature" else "extent of a body"
        line = f"median {what} {median:.3g} {unit} (5 % {low:.3g}, 95 % {high:.3g})"
        line += f", bone {self.quantile('bone', 0.5):.2g} {unit}" if self.bone else ""
        shares = {"at (0, 0, 0)": self.zeros, "where another joint is": self.coincident}
        return line + "".join(
            f", {100 * count / max(self.joints, 1):.2g} % of joints {what}" for what, count in shares.items()
        )

    def warnings(self, *, metres: bool = True) -> Iterator[str]:
        """Yield what is unusual of persons, for the user to judge.

        Args:
            metres: whether the store's numbers are said to be metres.
        """
        stature = self.quantile("stature", 0.5)
        if metres and not (STATURES[0] <= stature <= STATURES[1] or math.isnan(stature)):
            yield (
                f"the median stature is {stature:.3g} m, of persons it is {STATURES[0]:g} to {STATURES[1]:g} m: "
                "check the units"
            )
        odd = sum(count for key, count in self.span.items() if not _SPANS[0] <= math.exp(int(key) / _BINS) <= _SPANS[1])
        if metres and odd:
            yield (
                f"in {odd:,} of {self.clips:,} clips the body is smaller than {_SPANS[0]:g} m or larger than "
                f"{_SPANS[1]:g} m: check the units of their files"
            )
        for what, count in (("at (0, 0, 0)", self.zeros), ("exactly where another joint is", self.coincident)):
            if count > SHARE_WORTH_SAYING * self.joints:
                yield f"{100 * count / self.joints:.0f} % of the joints are {what}: they may be missing ones"
        along_z, axes = max((self.z_up, "[x, z, -y]"), (self.z_down, "[x, -z, y]"))
        if 2 * along_z > self.clips:
            yield (
                f"in {along_z:,} of {self.clips:,} clips the torso is along z: z may point "
                f"{'up' if self.z_up >= self.z_down else 'down'}, which a layout's axes turn round: axes: {axes}"
            )
        elif self.upside_down > _MOSTLY * self.upright:
            yield (
                f"in {self.upside_down:,} of {self.clips:,} clips the shoulders are below the hips: y may point down, "
                "which a layout's axes turn round: axes: [x, -y, z]"
            )
        if self.still > SHARE_WORTH_SAYING * self.clips:
            yield f"in {self.still:,} of {self.clips:,} clips nothing moves"
