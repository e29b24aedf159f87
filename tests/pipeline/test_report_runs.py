"""A report of runs as a file, and what it carries of each run."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest

from mamp_pipeline.report import projection
from mamp_pipeline.report import runs_page as run_parts
from mamp_pipeline.report.counts import class_titles
from mamp_pipeline.report.runs_page import (
    RUN_POINTS,
    confusion_data,
    features_data,
    reconstruction_data,
    runs_page_data,
    write_runs_page,
)
from mamp_schemas.models.base import parse_model_data
from mamp_schemas.models.layout import Layout
from tests.report_cases import LAYOUT
from tests.run_cases import MARKUP, make_confusion, make_features, make_predictions, make_run, make_runs

PAGE_BYTES = 10_000_000
PLOTLY_BYTES = 5_000_000


@pytest.fixture(autouse=True)
def _pca_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "_OTHERS", ())


def test_write_runs_report__one_file_that_loads_nothing(tmp_path: Path) -> None:
    out = tmp_path / "new" / "runs.html"
    assert write_runs_page(make_runs(), out) == out.stat().st_size
    page = out.read_text()
    assert re.findall(r"<(?:script|img|link|iframe|object)\b[^>]*(?:src|href)", page) == []
    assert "default-src 'none'" in page
    assert MARKUP not in page


def test_describe_runs__what_is_missing_says_why() -> None:
    runs = runs_page_data(make_runs())["runs"]
    assert runs[2]["confusion"] == {"missing": "No scores: mampctl evaluate makes them."}
    assert runs[3]["predictions"] == {"missing": "no checkpoint yet"}


def test_write_runs_report__ten_runs_of_120_classes_are_small(tmp_path: Path) -> None:
    names = tuple(f"A{number:03d} the name of a class" for number in range(120))
    runs = [
        make_run(
            f"run{number}",
            "linear",
            400,
            confusion=make_confusion(names, 500),
            features=make_features(names, 16_487),
            predictions=make_predictions(examples=6, frames=120),
        )
        for number in range(10)
    ]
    assert PLOTLY_BYTES * 0.9 < write_runs_page(runs, tmp_path / "runs.html") < PAGE_BYTES


def test_describe_features__shows_no_more_points_than_a_browser_draws() -> None:
    features = make_features(clips=5000)
    one = features_data(features, 1)
    assert len(one["clips"]) == len(one["label"]) == len(one["projections"][0]["x"]) == RUN_POINTS
    assert one["total"] == 5000
    assert (one["clips"][0], one["clips"][-1]) == (features.clips[0], features.clips[-1])
    assert len(features_data(features, 100)["clips"]) == run_parts.PAGE_POINTS // 100


def test_describe_confusion__classes_without_clips_have_no_accuracy() -> None:
    confusion = make_confusion()
    confusion.matrix[1] = 0
    confusion.accuracy[1] = np.nan
    told = confusion_data(confusion)
    assert told["accuracy"][1] is None
    assert told["matrix"] == confusion.matrix.tolist()


def test_describe_predictions__carries_what_was_hidden_only() -> None:
    predictions = make_predictions()
    packed = reconstruction_data(predictions, 1)["examples"][0]
    values = (
        np.frombuffer(base64.b64decode(packed["predicted"]["values"]), "<i2") / 32767 * packed["predicted"]["extent"]
    )
    example = predictions.examples[0]
    hidden = np.repeat(example.hidden, 4, axis=0)
    found = values.reshape(example.predicted.shape)
    np.testing.assert_allclose(found[hidden], example.predicted[hidden], atol=1e-5)
    assert not found[~hidden].any()
    assert packed["segment"] == 4


def test_describe_predictions__many_runs_share_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions = make_predictions(examples=4)
    assert len(reconstruction_data(predictions, 1)["examples"]) == 4
    assert len(reconstruction_data(predictions, 10_000)["examples"]) == 1


def test_class_titles__are_numbers_and_names() -> None:
    assert class_titles("ntu60", 60)[7:9] == ("A008 sitting down", "A009 standing up (from sitting position)")
    assert class_titles("nwucla", 10)[0] == "1 pick up with one hand"


def test_class_titles__of_own_recordings() -> None:
    layout = parse_model_data(Layout, LAYOUT, "layout")
    assert class_titles("custom", 3, layout) == layout.classes
    assert class_titles("custom", 2) == ("1", "2")
