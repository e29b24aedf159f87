"""Pages as files: in one piece, safe from their own data, and small however large the store."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_pipeline.report.html import render_clip_page, render_store_page
from mamp_pipeline.report.quality import find_outliers
from mamp_pipeline.report.store_page import MAX_CLIP_BYTES, store_page_data, write_store_page
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.progress import NullProgress
from tests.paths import GOLDEN
from tests.report_cases import CLASSES, JUMPING, make_ntu120, survey_ntu120

PAGE_BYTES = 10_000_000


@pytest.fixture(scope="module")
def page(gestures: Store, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page") / "new" / "report.html"
    write_store_page(gestures, out, NullProgress())
    return out.read_text()


def test_write_store_page__counts_what_stands_out(gestures: Store, tmp_path: Path) -> None:
    result = write_store_page(gestures, tmp_path / "report.html", NullProgress())
    assert result.outliers == {"jumps": 1, "still": 1, "bones": 1}
    assert result.viewable == 3 + len(CLASSES)
    assert result.size == (tmp_path / "report.html").stat().st_size


def test_write_store_page__names_no_path_of_the_machine(gestures: Store, page: str) -> None:
    assert str(gestures.path.parent) not in page


def test_write_store_page__of_a_store_without_clips(tmp_path: Path) -> None:
    (tmp_path / "S001C001P001R001A001.skeleton").write_text("0\n")
    ingest(
        IngestRequest("ntu60", (tmp_path,), tmp_path / "empty.zarr", dataset_spec("ntu60").paper_policy), NullProgress()
    )
    result = write_store_page(open_store(tmp_path / "empty.zarr"), tmp_path / "report.html", NullProgress())
    assert (result.outliers, result.viewable) == ({"jumps": 0, "still": 0, "bones": 0}, 0)
    page = (tmp_path / "report.html").read_text()
    assert "no clips to split" in page
    assert str(tmp_path) not in page


def test_page__loads_nothing(page: str) -> None:
    assert re.findall(r"<(?:script|img|link|iframe|object)\b[^>]*(?:src|href)", page) == []
    assert "default-src 'none'" in page


def test_page__allows_its_own_scripts_only(page: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts}
    assert hashes == set(re.findall(r"'sha256-([^']+)'", page))
    assert "unsafe-inline" not in page.partition("script-src")[2].partition(";")[0]


def test_page__markup_in_names_is_escaped(page: str) -> None:
    assert JUMPING not in page
    assert JUMPING.replace("<", "\\u003c").replace(">", "\\u003e") in page


def test_page__data_that_looks_like_a_placeholder_stays(page: str) -> None:
    assert '["{{style}}"]' in render_clip_page("{{data}}", ["{{style}}"])


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a report shows of NTU-120, a tenth of whose clips stand out."""
    raw, out = GOLDEN / "ntu120" / "raw.zip", tmp_path_factory.mktemp("ntu120") / "ntu120.zarr"
    ingest(IngestRequest("ntu120", (raw,), out, dataset_spec("ntu120").paper_policy), NullProgress())
    store = make_ntu120(out)
    surveyed = survey_ntu120(store)
    outliers = find_outliers(surveyed, store.metadata.skeleton.joints)
    assert min(map(len, outliers.values())) > 10_000
    return store_page_data(store, surveyed, outliers)


def test_write_store_page__of_all_of_ntu120_is_small(described: dict[str, Any]) -> None:
    page = render_store_page("NTU", {**described, "clips": []})
    assert len(page.encode()) + MAX_CLIP_BYTES < PAGE_BYTES


def test_store_page_data__classes_bear_their_names(described: dict[str, Any]) -> None:
    assert described["classes"][7] == "A008 sitting down"
    assert described["classMarks"][7] == "A008"
    assert described["classes"][-1] == described["classMarks"][-1] == "no label"
    assert {row["label"] for row in described["outliers"][0]["rows"]} <= set(described["classes"])
