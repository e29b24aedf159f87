"""Divide the clips of a store into training and test clips, by a protocol."""

from collections.abc import Sequence
from shlex import quote

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.errors import ManifestError
from mamp_schemas.io.store_reader import Store
from mamp_schemas.models.policy import ImportedPolicy
from mamp_schemas.models.splits import SplitCounts, SplitManifest, SplitProtocol
from mamp_schemas.models.store import StoreMetadata


def split_clips(
    ids: Sequence[str], values: NDArray[np.integer], protocol: SplitProtocol
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide clips into (train ids, test ids), each sorted; a clip may be in neither split.

    Args:
        ids: clip ids.
        values: (clips,) the column that the protocol splits by.
        protocol: which values are training and which test clips.
    """
    splits = {value: protocol.split_of(value) for value in np.unique(values).tolist()}
    names = np.asarray(ids, dtype=np.str_)
    train, test = (
        np.isin(values, [value for value, split in splits.items() if split == wanted]) for wanted in ("train", "test")
    )
    return tuple(sorted(names[train].tolist())), tuple(sorted(names[test].tolist()))


def build_manifest(store: Store, protocol_name: str) -> SplitManifest:
    """Divide a store's clips by a protocol.

    Raises:
        UsageError: the dataset has no such protocol.
        ManifestError: the store has no clips, does not say which split they are in, or has none for one of the splits.
    """
    protocol = store.metadata.dataset_spec().protocol(protocol_name)
    if not store.ids:
        raise ManifestError(
            f"{store.path}: the store has no clips to split",
            remedy=f"See why its files were quarantined: mampctl info {quote(str(store.path))}",
        )
    values = store.columns[protocol.column]
    _check_split_values(store, protocol, values)
    train, test = split_clips(store.ids, values, protocol)
    if not (train and test):
        raise _empty_split_error(store, protocol, len(train), len(test))
    return make_manifest(store.metadata, protocol, train, test)


def dividing_protocols(store: Store) -> list[str]:
    """Return the names of the dataset's protocols that have clips of the store for training and for testing."""
    return [protocol.name for protocol in store.metadata.dataset_spec().protocols if _divides(store, protocol)]


def _divides(store: Store, protocol: SplitProtocol) -> bool:
    splits = {protocol.split_of(value) for value in np.unique(store.columns[protocol.column]).tolist() if value >= 0}
    return {"train", "test"} <= splits


def _empty_split_error(store: Store, protocol: SplitProtocol, train: int, test: int) -> ManifestError:
    """Return the error that a split has no clips, with a protocol that divides them if there is one."""
    values = store.columns[protocol.column]
    present = f"the clips have {protocol.column} {_list_numbers(sorted(set(values[values >= 0].tolist())))}"
    wanted = f"train is {protocol.column} {_list_numbers(protocol.train)}"
    if protocol.test is not None:
        wanted += f", test {_list_numbers(protocol.test)}"
    others = dividing_protocols(store)
    if others:
        remedy = f"Another protocol divides them: {_split_command(store, others[0])}"
    elif store.metadata.layout:
        remedy = "Correct the protocol in the layout (docs/own-data.md), and ingest again."
    else:
        remedy = "Add raw files of the other split: mampctl ingest with --append."
    return ManifestError(
        f"{store.path}: {protocol.name} puts {train:,} clips into the train split and {test:,} into the test split, "
        "and both need some" + ("" if protocol.listed else f"; {wanted}; {present}"),
        remedy=remedy,
    )


def _split_command(store: Store, protocol: str) -> str:
    return f"mampctl build-splits --protocol {protocol} --store {quote(str(store.path))}"


_MAX_NUMBERS = 12
"""Numbers that a message lists."""


def describe_numbers(store: Store, protocol_name: str) -> list[str]:
    """Return what a protocol does with numbers that it does not name, a line each.

    A typing error in a list or in a file's name moves clips to the test split or out of both: these lines show it.
    """
    protocol = store.metadata.dataset_spec().protocol(protocol_name)
    if protocol.listed:
        return []
    values = store.columns[protocol.column]
    present = set(np.unique(values[values >= 0]).tolist())
    lines = []
    if protocol.test is None:
        rest = sorted(present - {*protocol.train})
        lines.append(f"test is every {protocol.column} that train does not name: {_list_numbers(rest)}")
    elif neither := sorted(present.difference(protocol.train, protocol.test)):
        lines.append(f"neither split names {protocol.column} {_list_numbers(neither)}")
    if store.metadata.layout and (absent := sorted({*protocol.train, *(protocol.test or ())} - present)):
        lines.append(f"the layout names {protocol.column} {_list_numbers(absent)}, which no clip has")
    return lines


def _list_numbers(numbers: Sequence[int]) -> str:
    listed = ", ".join(map(str, numbers[:_MAX_NUMBERS])) or "none"
    return f"{listed} and {len(numbers) - _MAX_NUMBERS} more" if len(numbers) > _MAX_NUMBERS else listed


def make_manifest(
    metadata: StoreMetadata,
    protocol: SplitProtocol,
    train: tuple[str, ...],
    test: tuple[str, ...],
    valid: tuple[str, ...] = (),
) -> SplitManifest:
    """Return the manifest of two splits, with their counts."""
    return SplitManifest(
        format_version=2,
        dataset=metadata.dataset,
        protocol=protocol.name,
        content_hash=metadata.content_hash,
        counts=SplitCounts(
            train=len(train),
            test=len(test),
            unlisted=metadata.counts.clips - len(train) - len(test),
            official_train=protocol.official_train,
            official_test=protocol.official_test,
        ),
        train=train,
        test=test,
        valid=valid,
    )


def _check_split_values(store: Store, protocol: SplitProtocol, values: NDArray[np.integer]) -> None:
    """Check that each clip has the number to split by; where split lists decide, that any clip is in one."""
    unknown = values < 0
    if not (unknown.all() if protocol.listed else unknown.any()):
        return
    if isinstance(store.metadata.policy, ImportedPolicy):
        remedy = "An imported file brings its own split: run the same mampctl import again for that."
    elif protocol.listed:
        remedy = "Ingest again with the split list of that protocol among --raw, to another --out."
    else:
        remedy = "The names of the recordings must contain it: see docs/own-data.md."
    what = f"split in {protocol.name} by a split list" if protocol.listed else f"{protocol.column} number to split by"
    raise ManifestError(
        f"{store.path}: {np.count_nonzero(unknown):,} clips have no {what}, the first is "
        f"{store.ids[int(np.argmax(unknown))]}",
        remedy=remedy,
    )
