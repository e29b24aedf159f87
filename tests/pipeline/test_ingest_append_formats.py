"""Appends to stores of videos and of own recordings, and what the engine looks at of files that hold several clips."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mamp_pipeline.convert.npz import export_npz
from mamp_pipeline.convert.pyskl import export_pyskl
from mamp_pipeline.datasets.base import find_reader
from mamp_pipeline.datasets.discover import find_sources
from mamp_pipeline.ingest.engines.worker_check import choose_probe
from mamp_pipeline.ingest.plan import Part
from mamp_pipeline.ingest.request import IngestRequest
from mamp_pipeline.ingest.run import ingest
from mamp_pipeline.ingest.tasks import ParseJob
from mamp_pipeline.splits import build_manifest
from mamp_pipeline.store.verify import verify_store
from mamp_schemas.errors import StoreExistsError
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.policy import PAPER_POLICY
from mamp_schemas.models.store import MotionSpec
from mamp_schemas.progress import NullProgress
from tests.pipeline.custom_cases import NPY, npy_bytes, stick_layout, walk
from tests.pipeline.pku_cases import golden_files, label_text, make_video, video_text, write_archive, write_files

FIRST = ("A01N01", "A04N01")
"""Recordings of which the first archive holds videos: those of the second come in between."""


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Divide the golden videos into two archives; both hold the split lists."""
    folder, files = tmp_path_factory.mktemp("archives"), golden_files("pku2")
    parts: tuple[dict[str, bytes], dict[str, bytes]] = ({}, {})
    for name, data in files.items():
        recording = name.rpartition("/")[2].partition("-")[0]
        for number, part in enumerate(parts):
            if name.startswith("cross") or (recording in FIRST) == (number == 0):
                part[name] = data
    return write_archive(folder / "0.zip", parts[0]), write_archive(folder / "1.zip", parts[1])


def request(out: Path, *raw: Path, append: bool = False) -> IngestRequest:
    return IngestRequest("pku2", raw, out, dataset_spec("pku2").policy("corrected"), append=append)


def test_ingest__appended_videos_equal_one_ingest_of_both(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), NullProgress())
    metadata = ingest(request(out, archives[1], append=True), NullProgress())
    both = ingest(request(tmp_path / "both.zarr", write_both(tmp_path)), NullProgress())
    assert (metadata.content_hash, metadata.source, metadata.counts) == (both.content_hash, both.source, both.counts)
    assert (metadata.policy_diff, metadata.noted) == (both.policy_diff, both.noted)
    assert metadata.policy_diff["interval_start"] > 40
    assert verify_store(open_store(out), NullProgress()).problems == ()


def write_both(folder: Path) -> Path:
    return write_archive(folder / "both.zip", golden_files("pku2"))


def test_ingest__videos_appended_again_are_known(
    archives: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), NullProgress())
    first = ingest(request(out, archives[1], append=True), NullProgress())
    assert ingest(request(out, archives[1], append=True), NullProgress()) == first
    assert "nothing to do" in caplog.messages[-1]


def test_ingest__some_videos_there_already_are_refused(archives: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    ingest(request(out, archives[0]), NullProgress())
    with pytest.raises(StoreExistsError, match="6 of the 12 raw files are in"):
        ingest(request(out, write_both(tmp_path), append=True), NullProgress())


def test_export__of_an_appended_store_is_that_of_one_ingest(archives: tuple[Path, Path], tmp_path: Path) -> None:
    paper = dataset_spec("pku2").paper_policy
    for name, raws in (("one", [write_both(tmp_path)]), ("two", [*archives])):
        out = tmp_path / f"{name}.zarr"
        for number, raw in enumerate(raws):
            ingest(replace(request(out, raw, append=number > 0), policy=paper), NullProgress())
        store = open_store(out)
        export_npz(store, build_manifest(store, "xsub"), tmp_path / f"{name}.npz", NullProgress())
        export_pyskl(store, [build_manifest(store, "xsub")], tmp_path / f"{name}.pkl", NullProgress())
    assert open_store(tmp_path / "two.zarr").ids != open_store(tmp_path / "one.zarr").ids
    for suffix in ("npz", "pkl"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


@pytest.fixture
def videos(tmp_path: Path) -> tuple[Path, Path]:
    """Write a video's skeletons and its labels into folders of their own."""
    skeletons = write_files(tmp_path / "skeletons", {"0002-L.txt": video_text(make_video(20))})
    return skeletons, write_files(tmp_path / "labels", {"0002-L.txt": label_text((1, 0, 9))})


def job_of(videos: tuple[Path, Path]) -> ParseJob:
    part = Part(0, tuple(find_sources(videos, find_reader("pku1")).sources))
    return ParseJob(part, "pku1", dataset_spec("pku1").paper_policy, MotionSpec(), "plan", Path("piece"))


def test_digest__changes_with_a_videos_labels(videos: tuple[Path, Path]) -> None:
    before = job_of(videos)
    assert pickle.loads(pickle.dumps(before)).digest() == before.digest()
    (videos[1] / "0002-L.txt").write_bytes(label_text((2, 0, 9)))
    assert job_of(videos).digest() != before.digest()


def test_choose_sight__looks_where_the_labels_are(videos: tuple[Path, Path]) -> None:
    sight = choose_probe(Path("staging"), find_sources(videos, find_reader("pku1")).sources)
    assert {source.container for source in sight.samples} == set(videos)


def record(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        write_files(folder, {f"{name}.npy": npy_bytes(np.array([list(walk(5, seed=seed).values())]))})
    return folder


def own(out: Path, raw: Path, layout: Layout, *, append: bool = False) -> IngestRequest:
    return IngestRequest("custom", (raw,), out, PAPER_POLICY, append=append, layout=layout)


def test_ingest__own_recordings_are_appended_by_the_same_layout_only(tmp_path: Path) -> None:
    layout, out = stick_layout(NPY), tmp_path / "s.zarr"
    first, second = record(tmp_path / "first", "a", "c"), record(tmp_path / "second", "b")
    ingest(own(out, first, layout), NullProgress())
    other = stick_layout(NPY, axes=["-x", "-y", "z"])
    with pytest.raises(StoreExistsError, match=r"custom [0-9a-f]{12} by policy paper") as caught:
        ingest(own(out, second, other, append=True), NullProgress())
    assert "same dataset or layout" in caught.value.remedy
    metadata = ingest(own(out, second, layout, append=True), NullProgress())
    assert (open_store(out).ids, metadata.layout) == (["a", "c", "b"], layout)
    assert verify_store(open_store(out), NullProgress()).problems == ()
