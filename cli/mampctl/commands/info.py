"""`mampctl info`: show what a store holds and how it was made."""

from mamp_schemas.io.storage_path import parse_storage_path
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.store import NOTE_DESCRIPTIONS, StoreMetadata
from mampctl.options import JsonOption, StoreArgument
from mampctl.output.console import count, count_quarantined, print_json, print_line
from mampctl.output.hints import print_hint, suggest_next_command

_MAX_FILES = 100
"""The most files shown that were left out for one reason; --json has all."""


def info(
    store: StoreArgument,
    as_json: JsonOption = False,
) -> None:
    """Show what a store holds.

    Shown are dataset, policy, counts, provenance and quarantined files.
    """
    from mamp_schemas.io.store_reader import open_store

    opened = open_store(parse_storage_path(store), check_columns=False)
    metadata = opened.metadata
    if as_json:
        print_json(metadata.model_dump(mode="json"))
        return
    for name, value in _list_fields(metadata).items():
        print_line(f"{name:<13} {value}")
    for warning in metadata.warnings():
        print_line(f"  {warning}")
    for note, number in metadata.noted.items():
        noun, _, rest = NOTE_DESCRIPTIONS[note].partition(" ")
        print_line(f"  {count(number, noun.removesuffix('s'))} {rest}")
    for group in metadata.left_out:
        for line in group.lines(_MAX_FILES):
            print_line(f"  {line}")
    for entry in metadata.quarantined:
        print_line(f"  {entry.file}{f', line {entry.line}' if entry.line else ''}: {entry.reason}")
    if metadata.counts.clips:
        print_hint(*suggest_next_command(opened))


def _list_fields(metadata: StoreMetadata) -> dict[str, str]:
    counts, policy, spec = metadata.counts, metadata.policy, metadata.dataset_spec()
    bodies = "1 body" if counts.bodies == 1 else f"{counts.bodies:,} bodies"
    return {
        "dataset": f"{spec.title} ({metadata.dataset})",
        "skeleton": f"{metadata.skeleton.name}, {len(metadata.skeleton.joints)} joints",
        "policy": f"{policy.name}: " + ", ".join(f"{key} {value}" for key, value in policy.applicable_fields().items()),
        **_describe_deviations(metadata),
        "clips": f"{counts.clips:,}",
        "rows": f"{counts.rows:,} ({bodies}, {count(counts.frames, 'frame')})",
        "bodies": metadata.describe_sizes(),
        "left out": ", ".join(
            (
                f"{count(counts.excluded, 'file')} by --exclude",
                f"{count(counts.foreign, 'file')} of another dataset",
                f"{count(counts.left_out, 'file')} with a name like that of raw files",
                count(counts.other, "other file"),
            )
        ),
        "quarantined": count_quarantined(metadata),
        "motion": f"stride {metadata.motion.stride}, segment {metadata.motion.segment}",
        "made with": ", ".join(f"{name} {version}" for name, version in metadata.versions.items()),
        "source": metadata.source,
        "content hash": metadata.content_hash,
        **(_describe_layout(metadata.layout) if metadata.layout else {}),
    }


def _describe_deviations(metadata: StoreMetadata) -> dict[str, str]:
    """Return how many clips each deviation from the policy `paper` changes, if the policy has any."""
    if not metadata.policy_diff:
        return {}
    changed = ", ".join(f"{field} {clips:,}" for field, clips in metadata.policy_diff.items())
    return {"changed": f"{changed} of {metadata.counts.clips:,} clips, by each deviation from paper alone"}


def _describe_layout(layout: Layout) -> dict[str, str]:
    axes = " ".join(layout.axes)
    return {
        "files": f"{layout.files.format}, {layout.units}, axes {axes}, missing joints: {layout.missing}",
        "frame rate": f"{layout.fps:g} frames/s" if layout.fps else "unknown",
        "classes": ", ".join(layout.classes) or "none",
        "protocols": ", ".join(protocol.name for protocol in layout.protocols) or "none",
    }
