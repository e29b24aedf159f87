"""A report of runs as a file, and what it carries of each run."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest

from mamp_pipeline.report import projection
from mamp_pipeline.report.runs_page import (
    PAGE_POINTS,
    RUN_POINTS,
    confusion_data,
    features_data,
    reconstruction_data,
    runs_page_data,
    write_runs_page,
)
from tests.run_cases import (
    MARKUP,
    NAMES,
    make_analysis,
    make_confusion,
    make_features,
    make_reconstruction,
    make_run,
    make_runs,
)

PAGE_BYTES = 10_000_000
PLOTLY_BYTES = 5_000_000


@pytest.fixture(autouse=True)
def _pca_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "OPTIONAL_METHODS", ())


def test_write_runs_page__one_file_that_loads_nothing(tmp_path: Path) -> None:
    out = tmp_path / "new" / "runs.html"
    assert write_runs_page(make_runs(), out) == out.stat().st_size
    page = out.read_text()
    assert re.findall(r"<(?:script|img|link|iframe|object)\b[^>]*(?:src|href)", page) == []
    assert "default-src 'none'" in page
    assert MARKUP not in page


def test_runs_page_data__missing_parts_have_their_reason() -> None:
    runs = runs_page_data(make_runs())["runs"]
    assert runs[2]["confusion"] == {"missing": "Not available: scores.npz cannot be read."}
    assert runs[3]["reconstruction"] == {"missing": "no checkpoint yet"}


def test_write_runs_page__ten_runs_of_120_classes_are_small(tmp_path: Path) -> None:
    names = tuple(f"the name of class {number}" for number in range(120))
    analysis = make_analysis(
        names,
        confusion=make_confusion(120, 500),
        features=make_features(120, 16_487),
        reconstruction=make_reconstruction(examples=6, frames=120),
    )
    runs = [make_run(f"run{number}", "linear", 400, analysis=analysis) for number in range(10)]
    assert PLOTLY_BYTES * 0.9 < write_runs_page(runs, tmp_path / "runs.html") < PAGE_BYTES


def test_features_data__shows_no_more_points_than_a_browser_draws() -> None:
    features = make_features(clips=5000)
    single = features_data(features, NAMES, 1)
    assert len(single["clips"]) == len(single["label"]) == len(single["projections"][0]["x"]) == RUN_POINTS
    assert single["total"] == 5000
    assert (single["clips"][0], single["clips"][-1]) == (features.clips[0], features.clips[-1])
    assert len(features_data(features, NAMES, 100)["clips"]) == PAGE_POINTS // 100


def test_confusion_data__classes_without_clips_have_no_accuracy() -> None:
    confusion = make_confusion()
    data = confusion_data(confusion.replaced(accuracy=(confusion.accuracy[0], None, confusion.accuracy[2])), NAMES)
    assert data["accuracy"][1] is None
    assert data["matrix"] == confusion.matrix.to_numpy().tolist()


def test_reconstruction_data__carries_masked_predictions_only() -> None:
    reconstruction = make_reconstruction()
    packed = reconstruction_data(reconstruction, NAMES, 1)["examples"][0]
    values = (
        np.frombuffer(base64.b64decode(packed["predicted"]["values"]), "<i2") / 32767 * packed["predicted"]["extent"]
    )
    predicted = reconstruction.examples[0].predicted.to_numpy()
    masked = np.repeat(reconstruction.examples[0].masked.to_numpy(), 4, axis=0)
    shown = values.reshape(predicted.shape)
    np.testing.assert_allclose(shown[masked], predicted[masked], atol=1e-5)
    assert not shown[~masked].any()
    assert packed["segment"] == 4


def test_reconstruction_data__many_runs_share_the_room() -> None:
    reconstruction = make_reconstruction(examples=4)
    assert len(reconstruction_data(reconstruction, NAMES, 1)["examples"]) == 4
    assert len(reconstruction_data(reconstruction, NAMES, 10_000)["examples"]) == 1
