"""What the stored motion and intensity are: stride and segment length."""

from pydantic import Field

from mamp_schemas.base import Model


class MotionSpec(Model):
    """How a store's `motion` and `intensity` were computed.

    Attributes:
        stride: m of eq. 2; the last m frames of a body are zero (eq. 3).
        segment: l of eq. 4; intensity compares frames l apart, the first l frames repeat the next l.
    """

    stride: int = Field(default=1, ge=1)
    segment: int = Field(default=4, ge=1)
