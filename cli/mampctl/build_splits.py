"""`mampctl build-splits`: a protocol's train and test clips, beside the store."""

from pathlib import Path
from typing import Annotated

import typer

from mampctl.console import print_json, print_line, print_table
from mampctl.places import only_store


def build_splits(
    protocol: Annotated[str, typer.Option(help="xsub, xview or xset, as the dataset has them.")],
    store: Annotated[Path | None, typer.Option(help="The store. [default: the one in $MAMPCTL_DATA]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Divide a store's clips by a protocol and hold the counts against the official ones."""
    from mamp_pipeline.splits import build_manifest, manifest_path, write_manifest
    from mamp_pipeline.store.read import open_store

    path = (store or only_store()).resolve()
    opened = open_store(path)
    manifest = build_manifest(opened, protocol)
    target = manifest_path(path, manifest.protocol)
    write_manifest(target, manifest)
    counts = manifest.counts
    if as_json:
        print_json({"manifest": str(target), **counts.model_dump(mode="json")})
        return
    rows = [
        (side, f"{got:,}", f"{official:,}", f"{got - official:+,}")
        for side, got, official in (
            ("train", counts.train, counts.official_train),
            ("test", counts.test, counts.official_test),
        )
    ]
    print_table(rows, ("side", "clips", "official", "difference"))
    if (counts.train, counts.test) != (counts.official_train, counts.official_test):
        print_line(
            f"the counts differ from the official ones of {opened.metadata.spec().title}, {protocol}; those are of all "
            "raw files, without the missing-skeleton list (ingest --exclude)"
        )
    print_line(f"{target}")
    print_line(f"next: mampctl train pretrain --recipe {opened.metadata.dataset}-{protocol} --store {path}")
