"""A clip to be shown: what is read of it, its packing for a page, its summary."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from mamp_pipeline.report.clip_view import (
    ClipView,
    clip_summary,
    find_clip,
    pack_clip,
    sparkline,
    summary_lines,
    view_clip,
)
from mamp_pipeline.report.html import embed_json
from mamp_pipeline.report.store_page import find_protocol_splits
from mamp_schemas.errors import StoreError
from mamp_schemas.io.store_reader import Store
from tests.report_cases import CLASSES, JUMPING


@pytest.fixture(scope="module")
def pair(gestures: Store) -> ClipView:
    return view_clip(gestures, find_clip(gestures, "sit down/pair_s2_c2"))


def test_find_clip__names_clips_that_come_near(gestures: Store) -> None:
    with pytest.raises(StoreError, match="no clip 'PAIR'") as caught:
        find_clip(gestures, "PAIR")
    assert "sit down/pair_s2_c2" in caught.value.remedy


def test_view_clip__has_class_numbers_and_splits(pair: ClipView) -> None:
    assert (pair.label, pair.numbers, pair.splits) == ("sit down", {"camera": 2, "subject": 2}, {"xsub": "test"})


def test_view_clip__holds_both_bodies(pair: ClipView) -> None:
    assert pair.joints.shape == (2, 64, 25, 3)
    assert pair.tokens.shape == (2, 30, 25)
    assert pair.intensity.mean() == pytest.approx(0.02, abs=0.02)


def test_view_clip__a_clip_that_stands_still_has_no_intensity(gestures: Store) -> None:
    still = view_clip(gestures, find_clip(gestures, "walk/still_s2_c1"))
    assert still.tokens.max() < 1e-6


def test_pack_clip__positions_come_back(gestures: Store, pair: ClipView) -> None:
    packed = pack_clip(pair, gestures.metadata.skeleton)
    steps = np.frombuffer(base64.b64decode(packed["joints"]), "<i2").reshape(pair.joints.shape)
    assert np.abs(steps * (packed["extent"] / 32767) - pair.joints).max() < packed["extent"] / 32767


def test_pack_clip__tokens_come_back_exactly(gestures: Store, pair: ClipView) -> None:
    packed = pack_clip(pair, gestures.metadata.skeleton)
    assert np.frombuffer(base64.b64decode(packed["tokens"]), "<f4").tolist() == pair.tokens.ravel().tolist()


def test_embed_json__markup_cannot_end_the_script() -> None:
    text = embed_json(["</script><!--&\u2028", JUMPING])
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == ["</script><!--&\u2028", JUMPING]


def test_embed_json__refuses_numbers_that_are_no_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        embed_json([float("nan")])


def test_find_protocol_splits__from_the_columns(gestures: Store) -> None:
    (protocol_splits,) = find_protocol_splits(gestures)
    assert protocol_splits.split is not None
    assert np.array_equal(protocol_splits.split == 0, gestures.columns["subject"] == 1)
    assert protocol_splits.official == (None, None)


def test_clip_summary__counts_masked_tokens(gestures: Store, pair: ClipView) -> None:
    summary = clip_summary(pair, gestures.metadata.skeleton)
    assert (summary["masking"]["hidden"], summary["masking"]["tokens"]) == (676, 750)
    json.dumps(summary, allow_nan=False)


def test_clip_summary__jumps_count_from_one(gestures: Store) -> None:
    summary = clip_summary(view_clip(gestures, find_clip(gestures, JUMPING)), gestures.metadata.skeleton)
    assert [(jump["body"], jump["frame"], jump["joint"]) for jump in summary["jumps"]] == [
        (1, 20, "hand_left"),
        (1, 22, "hand_left"),
    ]


def test_summary_lines__every_clip_has_its_lines(gestures: Store) -> None:
    for place, name in enumerate(gestures.ids):
        lines = dict(summary_lines(view_clip(gestures, place), gestures.metadata.skeleton))
        assert lines["clip"] == name
        label, _, rest = lines["class"].partition(", ")
        assert label in CLASSES
        assert label not in rest


def test_sparkline__from_the_lowest_to_the_largest() -> None:
    assert sparkline(np.array([0.0, 1.0, 2.0])) == "▁▅█"


def test_sparkline__without_any_motion() -> None:
    assert sparkline(np.zeros(3)) == "▁▁▁"


def test_clip_view_title__is_number_and_name_unless_they_are_the_same(pair: ClipView) -> None:
    assert pair.title == "sit down"
    assert replace(pair, label="A008", action="sitting down").title == "A008 sitting down"
    assert replace(pair, label="no label", action="").title == "no label"
