"""`mampctl build-splits`: write split manifests, and draws of a part of the training clips, beside a store."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mamp_schemas.builtin import SUBSET_PROTOCOL
from mamp_schemas.errors import UsageError
from mamp_schemas.io.storage_path import StoragePath
from mamp_schemas.models.recipe import PRETRAIN
from mamp_schemas.models.splits import SplitCounts, Subset, SubsetSampling
from mampctl.defaults import find_store, suggest_recipe_options
from mampctl.options import JsonOption, OnlyStoreOption, SplitProtocolOption
from mampctl.output.console import count, print_json, print_line, print_summary, print_table
from mampctl.output.hints import print_hint

if TYPE_CHECKING:
    from mamp_schemas.io.store_reader import Store

logger = logging.getLogger(__name__)


DEFAULT_DRAWS = 5
"""The number of draws that the paper averages over."""


def build_splits(
    protocol: SplitProtocolOption,
    store: OnlyStoreOption = None,
    fraction: Annotated[
        float | None,
        typer.Option(help="Draw this share (0 to 1) of the training clips, for semi-supervised evaluation."),
    ] = None,
    draws: Annotated[
        int | None, typer.Option(min=1, max=1000, help=f"Number of draws. [default: {DEFAULT_DRAWS}]")
    ] = None,
    sampling: Annotated[
        SubsetSampling | None,
        typer.Option(help="uniform, as the authors, or stratified: the same share of each class. [default: uniform]"),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Seed of the draws. [default: 0]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the train/test split of a protocol.

    Counts are compared with the official ones. With --fraction, draws of the training clips are written as well.
    """
    from mamp_schemas.io.store_reader import open_store

    subsets = _requested_subsets(fraction, draws, sampling, seed)
    opened = open_store(find_store(store).resolve())
    if subsets:
        _write_subsets(opened, protocol, subsets, as_json)
    else:
        _write_split(opened, protocol, as_json)


def _requested_subsets(
    fraction: float | None, draws: int | None, sampling: SubsetSampling | None, seed: int | None
) -> list[Subset]:
    """Return the draws that the options ask for; none without a fraction."""
    if fraction is None:
        if (draws, sampling, seed) != (None, None, None):
            raise UsageError(
                "--draws, --sampling and --seed need --fraction, the share of the training clips to draw",
                remedy="Add, say, --fraction 0.01",
            )
        return []
    if not 0 < fraction < 1:
        raise UsageError(
            f"--fraction is {fraction}, expected a share between 0 and 1", remedy="Give, say, --fraction 0.1"
        )
    return [
        Subset(fraction=fraction, sampling=sampling or "uniform", seed=seed or 0, draw=draw)
        for draw in range(1, (draws or DEFAULT_DRAWS) + 1)
    ]


def _write_split(store: "Store", protocol: str, as_json: bool) -> None:
    from mamp_pipeline.splits import build_manifest, describe_numbers
    from mamp_schemas.io.manifests import manifest_path, write_manifest

    manifest = build_manifest(store, protocol)
    target = manifest_path(store.path, manifest.protocol)
    write_manifest(target, manifest)
    if as_json:
        print_json({"manifest": str(target), **manifest.counts.model_dump(mode="json")})
        return
    spec = store.metadata.dataset_spec()
    hint = f", {spec.count_note}" if spec.count_note else ""
    _print_counts(manifest.counts, f"{spec.title}, {protocol}", hint)
    for line in describe_numbers(store, protocol):
        print_line(line)
    print_summary(target, f"{manifest.counts.train:,} train and {manifest.counts.test:,} test clips")
    print_hint("train", PRETRAIN, *suggest_recipe_options(store.metadata, protocol).split(), "--store", store.path)


def _print_counts(counts: SplitCounts, what: str, hint: str) -> None:
    if counts.official_train is None or counts.official_test is None:
        print_table([("train", f"{counts.train:,}"), ("test", f"{counts.test:,}")], ("split", "clips"))
        print_line(f"there are no official counts of {what}")
    else:
        official = (("train", counts.train, counts.official_train), ("test", counts.test, counts.official_test))
        rows = [(split, f"{got:,}", f"{wanted:,}", f"{got - wanted:+,}") for split, got, wanted in official]
        print_table(rows, ("split", "clips", "official", "difference"))
        if any(got != wanted for _, got, wanted in official):
            print_line(f"the counts differ from the official ones of {what}, which are for the full dataset{hint}")
    if counts.unlisted:
        print_line(f"{count(counts.unlisted, 'clip')} in neither split, left out")


def _write_subsets(store: "Store", protocol: str, subsets: Sequence[Subset], as_json: bool) -> None:
    from mamp_pipeline.splits import build_manifest
    from mamp_pipeline.subsets import train_labels, write_subsets
    from mamp_schemas.io.manifests import manifest_path, read_manifest, write_manifest
    from mamp_schemas.io.storage import exists

    whole = manifest_path(store.path, protocol)
    if not exists(whole):
        write_manifest(whole, build_manifest(store, protocol))
    parent = read_manifest(store, protocol)
    classes = sorted(set(train_labels(store, parent).tolist()))
    drawn = {}
    for subset, manifest in zip(subsets, write_subsets(store, parent, subsets), strict=True):
        counts = Counter(train_labels(store, manifest).tolist())
        drawn[manifest_path(store.path, protocol, subset)] = {label: counts[label] for label in classes}
        _warn_about_missing_classes(subset.draw, [label for label in classes if not counts[label]], len(classes))
    if as_json:
        print_json([{"manifest": str(path), "labels": labels} for path, labels in drawn.items()])
    else:
        _print_subsets(drawn, parent.counts.train)
        # Recipes are of a fraction and a sampling: the list tells which there are.
        print_hint("train", SUBSET_PROTOCOL, "--recipe", "list")


def _print_subsets(drawn: Mapping[StoragePath, Mapping[int, int]], clips: int) -> None:
    counts = [list(labels.values()) for labels in drawn.values()]
    rows = [
        (draw, f"{sum(labels):,}", sum(map(bool, labels)), min(labels), max(labels))
        for draw, labels in enumerate(counts, 1)
    ]
    print_table(rows, ("draw", "clips", "classes", "fewest of one", "most of one"))
    print_line(f"of {clips:,} training clips of {len(counts[0])} classes; the test split is not changed")
    for path in drawn:
        print_line(f"{path}")
    print_summary(next(iter(drawn)).parent, count(len(drawn), "manifest"))


def _warn_about_missing_classes(draw: int, absent: Sequence[int], classes: int) -> None:
    if absent:
        logger.warning(
            f"draw {draw} has no clip of {len(absent)} of the {classes} classes, labels "
            f"{', '.join(map(str, absent))} (counted from 0); --sampling stratified draws some of each"
        )
