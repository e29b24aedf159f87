"""The plan of an ingest: which raw files each part holds. Pure, and the same on every run."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.datasets.io.source import RawSource
from mamp_schemas.models.base import canonical_json
from mamp_schemas.models.policy import IngestPolicy
from mamp_schemas.models.store import MotionSpec

PART_BYTES = 48 * 2**20
"""Bytes of raw files in one part: few enough to hold in memory as text and clips, enough to keep tasks few."""


@dataclass(frozen=True, slots=True)
class Part:
    """The files that one task parses: a contiguous run of the sorted sources."""

    number: int
    sources: tuple[RawSource, ...]


def plan_parts(sources: Sequence[RawSource]) -> Iterator[Part]:
    """Divide sorted sources into parts of about `PART_BYTES` of text."""
    sizes = np.fromiter((source.size for source in sources), dtype=np.int64, count=len(sources))
    for number, files in enumerate(divide_sizes((sizes,))):
        yield Part(number, tuple(sources[files]))


def divide_sizes(blocks: Iterable[NDArray[np.int64]]) -> Iterator[slice]:
    """Divide files into runs of as many as fit into `PART_BYTES`, and at least one.

    Searches cumulative sums instead of visiting each file: a hundred million files take seconds, and only one block
    of their sizes is in memory at a time.

    Args:
        blocks: the sizes of all files in bytes, in their order, in blocks of any length.

    Yields:
        The index range of each run's files.
    """
    first, rest = 0, np.zeros(0, dtype=np.int64)
    for block in blocks:
        sizes = np.concatenate((rest, block))
        ends = np.cumsum(sizes)
        start, before = 0, 0
        # The last run of a block may continue in the next one.
        while (stop := int(ends.searchsorted(before + PART_BYTES, side="right"))) < len(ends):
            stop = max(stop, start + 1)
            yield slice(first + start, first + stop)
            start, before = stop, int(ends[stop - 1])
        first, rest = first + start, sizes[start:]
    if len(rest):
        yield slice(first, first + len(rest))


def fingerprint(sources: Iterable[RawSource]) -> str:
    """Return the fingerprint of raw input: the sum of the sha256 of its files' identities, modulo 2^256.

    A sum, so that the fingerprint of files that are appended later can be added (`add_fingerprints`).
    """
    total = sum(_parse_digest(hashlib.sha256(f"{source.identity}\n".encode()).hexdigest()) for source in sources)
    return _format_digest(total)


def add_fingerprints(one: str, other: str) -> str:
    """Return the fingerprint of two inputs together."""
    return _format_digest(_parse_digest(one) + _parse_digest(other))


def _parse_digest(digest: str) -> int:
    return int(digest, 16)


def _format_digest(total: int) -> str:
    return f"{total % 2**256:064x}"


def digest_plan(dataset: str, policy: IngestPolicy, motion: MotionSpec, sources: Sequence[RawSource]) -> str:
    """Return the sha256 of an ingest's task, by which it recognises its staging folder.

    Files count by id and size only. An edited file does not change the plan: its staged part, which has a digest of
    its own input, is parsed again.

    Args:
        dataset: the dataset's identity (`dataset_identity`).
        policy: how clips are made.
        motion: how motion and intensity are made.
        sources: the raw files.
    """
    files = [[source.id, source.size] for source in sources]
    head = [dataset, policy.digest(), motion.digest(), PART_BYTES, files]
    return hashlib.sha256(canonical_json(head)).hexdigest()
