"""PNG and GIF figures of a clip. The only user of matplotlib."""

from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from mamp_pipeline.motion import masking_probability, sample_mask
from mamp_pipeline.report.clip_view import COLOUR_QUANTILE, ClipView
from mamp_schemas.models.skeleton import Skeleton

WIDTH, HEIGHT, DPI = 1000, 560, 100
VIEW_ANGLE = 0.35
"""Rotation of the bodies about the vertical axis, in radians, so that depth is visible."""
MAX_GIF_FRAMES = 150
"""Longer clips are drawn at every second frame, or every third, and so on."""


class ClipFigure:
    """A figure of a clip that shows one frame at a time.

    Args:
        view: the clip.
        skeleton: its joints.
    """

    def __init__(self, view: ClipView, skeleton: Skeleton) -> None:
        self._view, self._parents = view, np.array(skeleton.parents)
        self._points = _project_to_plane(view.joints)
        self._largest = float(np.quantile(view.intensity, COLOUR_QUANTILE)) or 1.0
        figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, layout="constrained")
        self._canvas = FigureCanvasAgg(figure)
        parts = figure.subplot_mosaic([["body", "time"], ["body", "tokens"]], width_ratios=(2, 3), height_ratios=(1, 4))
        figure.suptitle(f"{view.id}, class {view.title}", parse_math=False)
        self._axes = parts["body"]
        self._bones, self._dots, self._caption = self._prepare_axes()
        body = int(view.tokens.mean(axis=(1, 2)).argmax())
        _draw_segment_intensity(parts["time"], view.tokens[body], body)
        _draw_token_map(parts["tokens"], view, body, skeleton)
        self._canvas.draw()
        # The background is drawn once.
        self._background = self._canvas.copy_from_bbox(figure.bbox)

    def busiest_frame(self) -> int:
        """Return the frame in which the bodies move most."""
        return int(self._view.intensity.mean(axis=(0, 2)).argmax())

    def draw(self, frame: int) -> Image.Image:
        """Return the picture of a frame."""
        points, seen = self._points[:, frame], self._view.joints[:, frame].any(axis=(1, 2))
        points = points[seen]
        self._bones.set_segments(list(np.stack((points, points[:, self._parents]), axis=2).reshape(-1, 2, 2)))
        self._dots.set_offsets(points.reshape(-1, 2))
        self._dots.set_array(self._view.intensity[seen, frame].ravel() / self._largest)
        self._caption.set_text(f"frame {frame + 1} of {self._points.shape[1]}")
        self._canvas.restore_region(self._background)
        for artist in (self._bones, self._dots, self._caption):
            self._axes.draw_artist(artist)
        return Image.fromarray(np.asarray(self._canvas.buffer_rgba()).copy()).convert("RGB")

    def _prepare_axes(self) -> tuple[LineCollection, PathCollection, Text]:
        axes = self._axes
        points = self._points[self._view.joints.any(axis=(2, 3))].reshape(-1, 2)
        low, high = (points.min(axis=0), points.max(axis=0)) if len(points) else (np.zeros(2), np.ones(2))
        centre, reach = (low + high) / 2, float((high - low).max()) * 0.55 or 0.5
        axes.set(xlim=(centre[0] - reach, centre[0] + reach), ylim=(centre[1] - reach, centre[1] + reach))
        axes.set(aspect="equal", xticks=[], yticks=[])
        bones = LineCollection([], colors="#8792a3", linewidths=2, animated=True)
        axes.add_collection(bones)
        dots = axes.scatter(
            [], [], c=[], cmap="viridis", vmin=0, vmax=1, s=34, edgecolors="#1b2330", animated=True, zorder=3
        )
        caption = axes.text(0.02, 0.98, "", transform=axes.transAxes, va="top", animated=True)
        return bones, dots, caption


def render_png(view: ClipView, skeleton: Skeleton) -> bytes:
    """Return a PNG of the frame in which a clip moves most."""
    picture, out = ClipFigure(view, skeleton), BytesIO()
    picture.draw(picture.busiest_frame()).save(out, "PNG")
    return out.getvalue()


def render_gif(view: ClipView, skeleton: Skeleton) -> bytes:
    """Return a GIF of a clip at its own speed, in a loop."""
    picture, out = ClipFigure(view, skeleton), BytesIO()
    frames = view.joints.shape[1]
    every = -(-frames // MAX_GIF_FRAMES)
    first = picture.draw(0).quantize(128)
    rest = (
        picture.draw(frame).quantize(palette=first, dither=Image.Dither.NONE) for frame in range(every, frames, every)
    )
    milliseconds = round(1000 * every / view.fps)
    first.save(out, "GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return out.getvalue()


def _project_to_plane(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (…, 2) points of (…, 3) points, rotated a little, as the camera sees them: x grows to its left."""
    across = joints[..., 2] * np.sin(VIEW_ANGLE) - joints[..., 0] * np.cos(VIEW_ANGLE)
    return np.stack((across, joints[..., 1]), axis=-1)


def _draw_segment_intensity(axes: Axes, tokens: NDArray[np.float32], body: int) -> None:
    axes.bar(np.arange(1, len(tokens) + 1), tokens.mean(axis=1) * 100, color="#2f6db3")
    axes.set_xlim(0.5, len(tokens) + 0.5)
    axes.set_title(f"intensity by segment, body {body + 1}", fontsize=9)
    axes.set_ylabel("cm", fontsize=8)
    axes.tick_params(labelsize=7)


def _draw_token_map(axes: Axes, view: ClipView, body: int, skeleton: Skeleton) -> None:
    intensity = view.tokens[body].astype(np.float64)
    probability = masking_probability(intensity, view.masking.temperature)
    masked = sample_mask(intensity, np.random.default_rng(0).random(intensity.shape), view.masking)
    segments, joints = intensity.shape
    image = axes.imshow(
        np.where(masked, probability * 100, np.nan).T,
        aspect="auto",
        extent=(0.5, segments + 0.5, joints - 0.5, -0.5),
        interpolation="nearest",
        vmin=probability.min() * 100,
        vmax=probability.max() * 100,
    )
    axes.figure.colorbar(image, ax=axes, label="%").ax.tick_params(labelsize=7)
    setting = f"ratio {view.masking.ratio:g}, τ {view.masking.temperature:g}"
    axes.set_title(f"probability to be masked; white: kept in a draw at {setting}", fontsize=9)
    axes.set_yticks(range(joints), [name.replace("_", " ") for name in skeleton.joints], fontsize=6, parse_math=False)
    axes.set_xlabel("segment", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
