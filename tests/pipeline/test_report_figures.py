"""Pictures of clips, decoded again."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mamp_pipeline.report.clip_view import find_clip, view_clip
from mamp_pipeline.report.figures import HEIGHT, MAX_GIF_FRAMES, WIDTH, render_gif, render_png
from mamp_schemas.io.store_reader import Store
from tests.report_cases import JUMPING


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def test_render_png__shows_the_clip(gestures: Store) -> None:
    view = view_clip(gestures, find_clip(gestures, "sit down/pair_s2_c2"))
    image = Image.open(BytesIO(render_png(view, gestures.metadata.skeleton)))
    assert (image.format, image.size) == ("PNG", (WIDTH, HEIGHT))
    stage, tokens = pixels(image)[50:, : WIDTH // 3], pixels(image)[200:500, WIDTH // 2 : 850]
    assert len(np.unique(stage.reshape(-1, 3), axis=0)) > 20
    # Most tokens are hidden and so coloured; those kept are white.
    white = (tokens == 255).all(axis=2).mean()
    assert 0.02 < white < 0.3


@pytest.mark.parametrize("name", ["walk/still_s2_c1", JUMPING])
def test_render_png__of_clips_that_stand_still_or_jump(gestures: Store, name: str) -> None:
    view = view_clip(gestures, find_clip(gestures, name))
    assert Image.open(BytesIO(render_png(view, gestures.metadata.skeleton))).size == (WIDTH, HEIGHT)


def test_render_gif__moves_and_lasts_as_long_as_the_clip(gestures: Store) -> None:
    view = view_clip(gestures, find_clip(gestures, JUMPING))
    gif = Image.open(BytesIO(render_gif(view, gestures.metadata.skeleton)))
    assert (gif.format, gif.size, gif.n_frames) == ("GIF", (WIDTH, HEIGHT), 60)
    assert view.joints.shape[1] <= MAX_GIF_FRAMES
    assert gif.info["duration"] == pytest.approx(1000 / view.fps, abs=10)
    gif.seek(5)
    before = pixels(gif)
    gif.seek(20)
    after = pixels(gif)
    assert np.abs(after - before)[:, : WIDTH // 3].max() > 100
    assert np.abs(after - before)[:, WIDTH // 2 :].max() == 0
