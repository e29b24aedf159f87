"""A dataset of another distribution: one file and one entry point, then every command knows it."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mamp_schemas.io.store_reader import open_store

READER = '''
"""A made-up text format: a line per frame, nine joints of x y z."""

import numpy as np

from mamp_pipeline.datasets.base import ClipFileReader, ClipInfo, DatasetSpec, RawBodies
from mamp_schemas.errors import RawFileError
from mamp_schemas.models.splits import SplitProtocol
from mamp_schemas.models.skeleton import Skeleton

JOINTS = 9
STICKS = DatasetSpec(
    name="sticks",
    title="Stick figures",
    skeleton=Skeleton(name="stick_9", joints=tuple(f"j{n}" for n in range(JOINTS)), parents=(0, *range(8)), centre=0),
    class_names=("walk", "run"),
    bodies=1,
    protocols=(SplitProtocol(name="xactor", column="subject", train=(1,), official_train=1, official_test=1),),
)


class SticksReader(ClipFileReader):
    name_pattern = "SUBJECT-CLASS.sticks"

    def parse_name(self, file_name):
        if not file_name.endswith(".sticks"):
            return None
        subject, label = file_name.removesuffix(".sticks").split("-")
        return ClipInfo(file_name.removesuffix(".sticks"), STICKS.class_names.index(label), subject=int(subject))

    def parse(self, data, info):
        try:
            joints = np.array([line.split() for line in data.decode().splitlines()], np.float32)
        except ValueError as problem:
            raise RawFileError(str(problem)) from None
        frames = np.arange(len(joints))
        return info, RawBodies(len(joints), frames, np.zeros(len(joints), np.int64), joints.reshape(-1, JOINTS, 3))


READER = SticksReader(STICKS)
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the installed distribution `sticks-data`."""
    site = tmp_path / "site"
    info = site / "sticks_data-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "sticks_reader.py").write_text(READER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sticks-data\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mampctl.datasets]\nsticks = sticks_reader:READER\n")
    return site


def mampctl(*arguments: object, site: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = [*([str(site)] if site else []), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-m", "mampctl", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def store(site: Path, tmp_path: Path) -> Path:
    raw, out = tmp_path / "raw", tmp_path / "sticks.zarr"
    raw.mkdir()
    for subject, label in ((1, "walk"), (2, "run")):
        lines = [" ".join(str(0.01 * (subject + frame + number)) for number in range(27)) for frame in range(20)]
        (raw / f"{subject}-{label}.sticks").write_text("\n".join(lines))
    (raw / "2-run.sticks").rename(raw / "2-run.STICKS")
    (raw / "3-run.sticks.gz").write_bytes(gzip.compress(b"1 2 three"))
    outcome = mampctl("ingest", "sticks", "--raw", raw, "--out", out, "--workers", 0, site=site)
    assert outcome.returncode == 0, outcome.stderr
    assert "build-splits --protocol xactor" in outcome.stdout
    return out


def test_ingest__a_dataset_of_another_distribution(store: Path) -> None:
    opened = open_store(store)
    assert (opened.ids, opened.metadata.counts.rows) == (["1-walk", "2-run"], 40)
    assert [fault.file for fault in opened.metadata.quarantined] == ["raw/3-run.sticks.gz"]
    assert opened.columns["label"].tolist() == [0, 1]


def test_metadata__is_enough_where_the_distribution_is_not_installed(store: Path) -> None:
    spec = open_store(store).metadata.dataset_spec()
    assert (spec.title, spec.class_names, spec.skeleton.name) == ("Stick figures", ("walk", "run"), "stick_9")
    for arguments in (("info", store), ("verify", store), ("build-splits", "--protocol", "xactor", "--store", store)):
        outcome = mampctl(*arguments)
        assert outcome.returncode == 0, outcome.stderr


def test_metadata__of_an_in_tree_dataset_holds_no_specification(store: Path, tmp_path: Path) -> None:
    metadata = open_store(store).metadata
    assert "spec" in metadata.model_dump(mode="json")
    assert "spec" not in metadata.replaced(dataset="nwucla", spec=None).model_dump(mode="json")


def test_ingest__a_dataset_that_is_not_installed(tmp_path: Path) -> None:
    outcome = mampctl("ingest", "sticks", "--raw", tmp_path, "--out", tmp_path / "s.zarr")
    assert outcome.returncode == 2
    assert "there is no dataset 'sticks'" in outcome.stderr


def test_help__lists_the_dataset_without_importing_it(site: Path) -> None:
    (site / "sticks_reader.py").write_text("raise SystemExit('imported')")
    assert "sticks" in mampctl("ingest", "--help", site=site).stdout
    words = {"COMP_WORDS": "mampctl ingest st", "COMP_CWORD": "2", "_MAMPCTL_COMPLETE": "complete_bash"}
    code = "import sys; sys.argv = ['mampctl']; from mampctl.runtime.main import main; main()"
    environment = os.environ | words | {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    outcome = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert outcome.stdout.split() == ["sticks"]
