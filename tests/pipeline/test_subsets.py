"""Draws of training clips: what is drawn, that it is always the same, and what it is bound to."""

from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamp_pipeline.splits import make_manifest
from mamp_pipeline.subsets import sample_clips, subset_manifest
from mamp_schemas.datasets.ntu import NTU60
from mamp_schemas.errors import ManifestError, UsageError
from mamp_schemas.io.manifests import manifest_path, write_manifest
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.models.splits import SplitManifest, Subset, SubsetSampling
from tests.trainer.stores import Clip, write_store

Clips = dict[str, int]

clips = st.dictionaries(st.from_regex(r"[A-Z][0-9]{1,4}", fullmatch=True), st.integers(0, 6), min_size=1, max_size=80)
subsets = st.builds(
    Subset,
    fraction=st.floats(0.01, 0.99),
    sampling=st.sampled_from(["uniform", "stratified"]),
    seed=st.integers(0, 2**40),
    draw=st.integers(1, 9),
)


def draw(labels: Clips, subset: Subset) -> tuple[str, ...]:
    return sample_clips(list(labels), list(labels.values()), subset)


@settings(max_examples=50, deadline=None)
@given(clips, subsets, st.randoms(use_true_random=False))
def test_sample_clips__does_not_depend_on_the_order_of_clips(labels: Clips, subset: Subset, random: Random) -> None:
    shuffled = list(labels.items())
    random.shuffle(shuffled)
    assert draw(dict(shuffled), subset) == draw(labels, subset)


@settings(max_examples=50, deadline=None)
@given(clips, subsets)
def test_sample_clips__are_clips_each_once_and_sorted(labels: Clips, subset: Subset) -> None:
    drawn = draw(labels, subset)
    assert list(drawn) == sorted(set(drawn))
    assert set(drawn) <= set(labels)


@settings(max_examples=50, deadline=None)
@given(clips, subsets)
def test_sample_clips__uniform_counts_as_the_authors_do(labels: Clips, subset: Subset) -> None:
    assert len(draw(labels, subset.replaced(sampling="uniform"))) == int(len(labels) * subset.fraction)


@settings(max_examples=50, deadline=None)
@given(clips, subsets)
def test_sample_clips__stratified_takes_the_share_of_each_class(labels: Clips, subset: Subset) -> None:
    drawn = Counter(labels[name] for name in draw(labels, subset.replaced(sampling="stratified")))
    whole = Counter(labels.values())
    assert drawn == {label: max(1, round(count * subset.fraction)) for label, count in whole.items()}


@settings(max_examples=50, deadline=None)
@given(clips, subsets, st.floats(0.01, 0.99))
def test_sample_clips__a_smaller_fraction_is_part_of_a_larger(labels: Clips, subset: Subset, other: float) -> None:
    smaller, larger = sorted((subset.fraction, other))
    drawn = [set(draw(labels, subset.replaced(fraction=fraction))) for fraction in (smaller, larger)]
    assert drawn[0] <= drawn[1]


@settings(max_examples=50, deadline=None)
@given(clips, subsets)
def test_sample_clips__stratified_draws_each_class_by_itself(labels: Clips, subset: Subset) -> None:
    stratified = subset.replaced(sampling="stratified")
    alone = {name: label for name, label in labels.items() if label == 0}
    assert draw(alone, stratified) == tuple(name for name in draw(labels, stratified) if labels[name] == 0)


def test_sample_clips__is_the_same_for_ever() -> None:
    """A draw that changes would make numbers of the same manifest name incomparable."""
    ids = [f"S001C001P001R001A{action:03d}" for action in range(1, 61)]
    drawn = sample_clips(ids, [0] * 60, Subset(fraction=0.1, seed=0, draw=1))
    assert [name[-3:] for name in drawn] == ["004", "013", "021", "030", "047", "054"]


def test_sample_clips__every_clip_is_as_likely() -> None:
    ids = [f"clip{number}" for number in range(40)]
    times = Counter(
        name for number in range(1, 2001) for name in sample_clips(ids, [0] * 40, Subset(fraction=0.25, draw=number))
    )
    counts = np.array([times[name] for name in ids])
    # Chi-square of 39 degrees of freedom, drawn without replacement: exceeded once in 10,000 samples at about 80.
    assert ((counts - 500) ** 2 / (500 * 0.75)).sum() < 80
    assert times.total() == 2000 * 10


def test_sample_clips__seeds_and_draws_differ() -> None:
    ids = [f"clip{number}" for number in range(100)]
    keys = [(seed, number) for seed in range(3) for number in range(1, 6)]
    drawn = {sample_clips(ids, [0] * 100, Subset(fraction=0.1, seed=seed, draw=number)) for seed, number in keys}
    assert len(drawn) == len(keys)


def make_store(folder: Path, labels: list[int]) -> tuple[Store, SplitManifest]:
    """Write a store whose clips but the last two train, with its manifest."""
    joints = np.ones((1, 2, 25, 3), np.float32)
    rows = [Clip(id=f"clip{number:03d}", joints=joints, label=label) for number, label in enumerate(labels)]
    store = open_store(write_store(folder / "ntu60.zarr", rows))
    parent = make_manifest(store.metadata, NTU60.protocol("xsub"), tuple(store.ids[:-2]), tuple(store.ids[-2:]))
    write_manifest(manifest_path(store.path, "xsub"), parent)
    return store, parent


def test_subset_manifest__is_bound_to_store_and_parent_and_keeps_the_test_side(tmp_path: Path) -> None:
    store, parent = make_store(tmp_path, [number % 3 for number in range(22)])
    subset = Subset(fraction=0.3, sampling="stratified", draw=2)
    manifest = subset_manifest(store, parent, subset)
    assert (manifest.content_hash, manifest.parent) == (store.metadata.content_hash, parent.digest())
    assert manifest.test == parent.test
    assert set(manifest.train) < set(parent.train)
    assert (manifest.counts.train, manifest.counts.test, manifest.counts.unlisted) == (6, 2, 14)
    assert manifest.subset == subset


@pytest.mark.parametrize("sampling", ["uniform", "stratified"])
def test_subset_manifest__a_clip_without_label_is_named(tmp_path: Path, sampling: SubsetSampling) -> None:
    store, parent = make_store(tmp_path, [0, 1, -1, 2, 0, 0])
    with pytest.raises(ManifestError, match="1 training clips have no label, the first is clip002"):
        subset_manifest(store, parent, Subset(fraction=0.5, sampling=sampling))


def test_subset_manifest__nothing_to_draw_is_refused(tmp_path: Path) -> None:
    store, parent = make_store(tmp_path, [0] * 12)
    with pytest.raises(UsageError, match=r"0\.05 of 10 training clips is less than one clip"):
        subset_manifest(store, parent, Subset(fraction=0.05))


def test_split_manifest__a_draw_from_nothing_is_refused(tmp_path: Path) -> None:
    _, parent = make_store(tmp_path, [0] * 12)
    with pytest.raises(ValueError, match="subset and parent must be given together"):
        parent.replaced(subset=Subset(fraction=0.5))
