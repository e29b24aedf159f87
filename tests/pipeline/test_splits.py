"""The split logic gives the official counts, from the names alone, and the golden splits."""

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from mamp_pipeline.datasets.ntu.dataset import parse_ntu_name
from mamp_pipeline.splits import split_clips
from mamp_schemas.datasets.ntu import NTU60, NTU120
from mamp_schemas.models.dataset import DatasetSpec, dataset_spec
from tests.paths import GOLDEN, SHARED_DATA

NAMES = SHARED_DATA / "ntu120_available_names.txt.xz"


def split_names(names: list[str], dataset: DatasetSpec, protocol_name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    protocol = dataset.protocol(protocol_name)
    infos = [parse_ntu_name(f"{name}.skeleton") for name in names]
    values = np.array([getattr(info, protocol.column) for info in infos])
    return split_clips(names, values, protocol)


@pytest.mark.skipif(not NAMES.exists(), reason="needs the list of available names, which is not part of the repository")
@pytest.mark.parametrize(
    ("dataset", "protocol"),
    [(NTU60, "xsub"), (NTU60, "xview"), (NTU120, "xsub"), (NTU120, "xset")],
    ids=lambda value: getattr(value, "name", value),
)
def test_split_clips__gives_the_official_counts_from_the_names(dataset: DatasetSpec, protocol: str) -> None:
    names = lzma.decompress(NAMES.read_bytes()).decode().split()
    assert len(names) == 113_945
    if dataset is NTU60:
        names = [name for name in names if int(name[1:4]) <= 17]
    train, test = split_names(names, dataset, protocol)
    wanted = dataset.protocol(protocol)
    assert (len(train), len(test)) == (wanted.official_train, wanted.official_test)


@pytest.mark.parametrize("name", ["ntu60", "ntu120"])
def test_split_clips__gives_the_golden_splits(name: str) -> None:
    golden: dict[str, dict[str, list[str]]] = json.loads(Path(GOLDEN / name / "splits.json").read_text())
    for protocol, sides in golden.items():
        train, test = split_names(sides["train"] + sides["test"], dataset_spec(name), protocol)  # type: ignore[index]
        assert list(train) == sorted(sides["train"])
        assert list(test) == sorted(sides["test"])
