"""The plan of an ingest: which raw files make which part. Pure, and the same on every run."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mamp_pipeline.raw.entries import RawSource
from mamp_schemas.base import canonical_json
from mamp_schemas.datasets import DatasetName
from mamp_schemas.motion import MotionSpec
from mamp_schemas.policy import IngestPolicy

PART_BYTES = 48 * 2**20
"""Text of one part: small enough to hold as bytes and clips, large enough that tasks stay few."""


@dataclass(frozen=True, slots=True)
class Part:
    """The files one task parses: a contiguous run of the sorted sources."""

    number: int
    sources: tuple[RawSource, ...]


def plan_parts(sources: Sequence[RawSource]) -> Iterator[Part]:
    """Divide sorted sources into parts of about `PART_BYTES` of text."""
    number, size = 0, 0
    run: list[RawSource] = []
    for source in sources:
        if run and size + source.size > PART_BYTES:
            yield Part(number, tuple(run))
            number, size, run = number + 1, 0, []
        run.append(source)
        size += source.size
    if run:
        yield Part(number, tuple(run))


def fingerprint(sources: Sequence[RawSource]) -> str:
    """Return the sha256 over the sorted (clip id, size, change) of the raw input.

    The change is an archive member's CRC-32, or the time a file in a folder was last written: input that was
    edited is never taken for the same.
    """
    state = hashlib.sha256()
    for source in sorted(sources, key=lambda item: item.id):
        state.update(f"{source.id} {source.size} {source.changed}\n".encode())
    return state.hexdigest()


def plan_hash(dataset: DatasetName, policy: IngestPolicy, motion: MotionSpec, sources: Sequence[RawSource]) -> str:
    """Return the sha256 of everything staged pieces depend on; pieces of another plan are not reused."""
    head = [dataset, policy.digest(), motion.digest(), PART_BYTES, fingerprint(sources)]
    return hashlib.sha256(canonical_json(head)).hexdigest()
