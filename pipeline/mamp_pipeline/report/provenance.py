"""How a store was made, as names and values to be shown."""

from mamp_schemas.store import NOTE_DESCRIPTIONS, StoreMetadata


def provenance_rows(metadata: StoreMetadata) -> list[tuple[str, str]]:
    """Return (name, value) of everything a store's metadata says of its making."""
    policy, counts = metadata.policy, metadata.counts
    facts = [
        ("content hash", metadata.content_hash),
        ("source fingerprint", metadata.source),
        ("policy", policy.name),
        *((f"policy: {name}", str(value)) for name, value in policy.applicable_fields().items()),
        ("policy hash", metadata.policy_hash),
        ("motion stride", str(metadata.motion.stride)),
        ("motion segment", f"{metadata.motion.segment} frames"),
        ("skeleton", f"{metadata.skeleton.name}, {len(metadata.skeleton.joints)} joints"),
        ("files left out by a list", f"{counts.excluded:,}"),
        ("files of another dataset", f"{counts.foreign:,}"),
        *((f"clips touched by {field}", f"{clips:,}") for field, clips in metadata.touched.items()),
        *((NOTE_DESCRIPTIONS[note], f"{number:,}") for note, number in metadata.noted.items()),
        ("store format", str(metadata.format_version)),
        *((f"made with {name}", version) for name, version in metadata.versions.items()),
    ]
    if metadata.layout:
        facts += [("layout", metadata.layout.name), ("layout hash", metadata.layout.digest())]
    return facts
