"""The report of a store as one HTML page."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_pipeline.report.clip_view import pack_clip, view_clip
from mamp_pipeline.report.counts import (
    class_names,
    cross_tabulate,
    cross_tabulate_columns,
    intensity_quantiles,
    label_name,
)
from mamp_pipeline.report.html import embed_json, pack_skeleton, render_store_page, round_table
from mamp_pipeline.report.quality import CRITERIA, Outlier, OutlierKind, Survey, find_outliers, survey_store
from mamp_pipeline.splits import build_manifest
from mamp_schemas.errors import ManifestError
from mamp_schemas.io.atomic import write_file
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.store_reader import Store
from mamp_schemas.models.splits import SplitManifest
from mamp_schemas.models.store import NOTE_DESCRIPTIONS, StoreMetadata
from mamp_schemas.progress import Progress

TRAIN, TEST, NEITHER = 0, 1, 2
SPLIT_NAMES = {TRAIN: "train", TEST: "test", NEITHER: "neither"}


@dataclass(frozen=True)
class ProtocolSplit:
    """The split of a protocol.

    Attributes:
        split: (N,) int64, keys of `SPLIT_NAMES`, or None if it is not known.
        official: the official counts of train and test clips, None if there are none.
        problem: why the split is not known; empty if it is.
    """

    protocol: str
    split: NDArray[np.int64] | None
    official: tuple[int | None, int | None]
    problem: str


def find_protocol_splits(store: Store) -> list[ProtocolSplit]:
    """Return the split of each of the dataset's protocols: from the clip columns, else from the manifest beside."""
    splits = []
    for protocol in store.metadata.dataset_spec().protocols:
        official = (protocol.official_train, protocol.official_test)
        try:
            split, problem = _split_of_clips(store, _find_manifest(store, protocol.name)), ""
        except ManifestError as unknown:
            # Pages contain no paths of the machine.
            split, problem = None, unknown.message.removeprefix(f"{store.path}: ")
        splits.append(ProtocolSplit(protocol.name, split, official, problem))
    return splits


def _find_manifest(store: Store, protocol: str) -> SplitManifest:
    try:
        return build_manifest(store, protocol)
    except ManifestError as unknown:
        try:
            return read_manifest(store, protocol)
        except ManifestError:
            raise unknown from None


def _split_of_clips(store: Store, manifest: SplitManifest) -> NDArray[np.int64]:
    splits = dict.fromkeys(manifest.train, TRAIN) | dict.fromkeys(manifest.test, TEST)
    return np.array([splits.get(clip, NEITHER) for clip in store.ids], dtype=np.int64)


def provenance_rows(metadata: StoreMetadata) -> list[tuple[str, str]]:
    """Return (name, value) of how a store was made, from its metadata."""
    policy, counts = metadata.policy, metadata.counts
    rows = [
        ("content hash", metadata.content_hash),
        ("source fingerprint", metadata.source),
        ("policy", policy.name),
        *((f"policy: {name}", str(value)) for name, value in policy.applicable_fields().items()),
        ("policy hash", metadata.policy_hash),
        ("motion stride", str(metadata.motion.stride)),
        ("motion segment", f"{metadata.motion.segment} frames"),
        ("skeleton", f"{metadata.skeleton.name}, {len(metadata.skeleton.joints)} joints"),
        ("bodies", metadata.describe_sizes()),
        *(("warning", warning) for warning in metadata.warnings()),
        ("files left out by a list", f"{counts.excluded:,}"),
        ("files of another dataset", f"{counts.foreign:,}"),
        ("files that look like raw files and were left out", f"{counts.left_out:,}"),
        *((f"clips changed by {field}", f"{clips:,}") for field, clips in metadata.policy_diff.items()),
        *((NOTE_DESCRIPTIONS[note], f"{number:,}") for note, number in metadata.noted.items()),
        ("store format", str(metadata.format_version)),
        *((f"made with {name}", version) for name, version in metadata.versions.items()),
    ]
    if metadata.layout:
        rows += [("layout", metadata.layout.name), ("layout hash", metadata.layout.digest())]
    return rows


MAX_OUTLIERS = 100
"""The worst of each kind."""
MAX_QUARANTINED = 5_000
MAX_CLIP_BYTES = 2_500_000
"""The share of a page's 10 MB that clips may take; plotly's script takes half of them."""


@dataclass(frozen=True)
class StoreReportSummary:
    """A report in short.

    Attributes:
        size: bytes of the page.
        outliers: the number of outliers by kind.
        viewable: how many clips the page can play.
    """

    size: int
    outliers: dict[OutlierKind, int]
    viewable: int


def write_store_page(store: Store, out: Path, progress: Progress) -> StoreReportSummary:
    """Write a store's report as one HTML file.

    Args:
        store: the store.
        out: the file; an existing one is replaced.
        progress: receives the number of clips read.

    Raises:
        DamagedStoreError: rows cannot be read.
        OutputError: the file cannot be written.
    """
    surveyed = survey_store(store, progress)
    outliers = find_outliers(surveyed, store.metadata.skeleton.joints)
    clips = _pack_clips(store, _choose_clips(store, outliers))
    data = {**store_page_data(store, surveyed, outliers), "clips": clips}
    page = render_store_page(f"{store.metadata.dataset_spec().title}: report of {store.path.name}", data).encode(
        errors="backslashreplace"
    )
    return StoreReportSummary(
        write_file(out, page, make_parents=True),
        {kind: len(clip_ids) for kind, clip_ids in outliers.items()},
        len(clips),
    )


def store_page_data(store: Store, surveyed: Survey, outliers: dict[OutlierKind, list[Outlier]]) -> dict[str, Any]:
    """Return the page's data without the clips: tables by class, whose size does not grow with the number of clips."""
    metadata, label = store.metadata, store.columns["label"]
    names = class_names(metadata)
    titles = metadata.dataset_spec().class_titles
    splits = find_protocol_splits(store)
    groups = cross_tabulate_columns(store.columns, len(names))
    for protocol in splits:
        if protocol.split is not None:
            groups[f"split {protocol.protocol}"] = cross_tabulate(label, protocol.split, len(names), SPLIT_NAMES)
    return {
        "title": metadata.dataset_spec().title,
        "store": store.path.name,
        "classes": [*titles, label_name(titles, -1)],
        "classMarks": [*names, label_name(names, -1)],
        "counts": metadata.counts.model_dump(mode="json"),
        "groups": {name: {"names": table.names, "counts": table.counts.tolist()} for name, table in groups.items()},
        "protocols": [
            {"name": split.protocol, "official": split.official, "problem": split.problem} for split in splits
        ],
        "quantiles": round_table(intensity_quantiles(label, store.columns["mean_intensity"], len(names))),
        "jointIntensity": round_table(surveyed.intensity),
        "rows": surveyed.rows.tolist(),
        "skeleton": {**pack_skeleton(metadata.skeleton), "pose": round_table(surveyed.pose)},
        "outliers": [_outlier_table(store, kind, clips, titles) for kind, clips in outliers.items()],
        "quarantine": [entry.model_dump() for entry in metadata.quarantined[:MAX_QUARANTINED]],
        "provenance": provenance_rows(metadata),
    }


def _outlier_table(store: Store, kind: OutlierKind, outliers: list[Outlier], titles: tuple[str, ...]) -> dict[str, Any]:
    title, criterion = CRITERIA[kind]
    rows = [
        {
            "clip": store.ids[outlier.clip],
            "label": label_name(titles, int(store.columns["label"][outlier.clip])),
            "frames": int(store.columns["frames"][outlier.clip]),
            "value": round(outlier.value, 3),
            "detail": outlier.detail,
        }
        for outlier in outliers[:MAX_OUTLIERS]
    ]
    return {"kind": kind, "title": title, "criterion": criterion, "clips": len(outliers), "rows": rows}


def _choose_clips(store: Store, outliers: dict[OutlierKind, list[Outlier]]) -> Iterable[int]:
    """Yield clips worth looking at: in turn the worst of each kind of outlier, and the median clip of a class."""
    rankings = [*([outlier.clip for outlier in kind] for kind in outliers.values()), _median_clips(store)]
    longest = max(map(len, rankings))
    yield from dict.fromkeys(ranking[rank] for rank in range(longest) for ranking in rankings if rank < len(ranking))


def _median_clips(store: Store) -> list[int]:
    """Return for each class the clip whose mean intensity is the median of the class."""
    label, intensity = store.columns["label"], store.columns["mean_intensity"]
    clips = []
    for number in np.unique(label).tolist():
        members = np.flatnonzero(label == number)
        clips.append(int(members[np.argsort(intensity[members], kind="stable")[(len(members) - 1) // 2]]))
    return clips


def _pack_clips(store: Store, clips: Iterable[int]) -> list[dict[str, Any]]:
    """Pack clips until their share of the page is used up."""
    packed, room = [], MAX_CLIP_BYTES
    for clip in clips:
        view = pack_clip(view_clip(store, clip), store.metadata.skeleton)
        room -= len(embed_json(view))
        if room < 0:
            break
        packed.append(view)
    return packed
