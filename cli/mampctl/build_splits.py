"""`mampctl build-splits`: a protocol's train and test clips, beside the store."""

from typing import Annotated

import typer

from mamp_schemas.splits import SplitCounts
from mampctl.console import print_json, print_line, print_table
from mampctl.places import named_store, recipe_options


def build_splits(
    protocol: Annotated[str, typer.Option(help="xsub, xview or xset, as the dataset has them.")],
    store: Annotated[
        str | None, typer.Option(metavar="PATH", help="The store. [default: the one in $MAMPCTL_DATA]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Divide a store's clips by a protocol and hold the counts against the official ones."""
    from mamp_pipeline.splits import build_manifest, manifest_path, write_manifest
    from mamp_pipeline.store.read import open_store

    path = named_store(store).resolve()
    opened = open_store(path)
    manifest = build_manifest(opened, protocol)
    target = manifest_path(path, manifest.protocol)
    write_manifest(target, manifest)
    if as_json:
        print_json({"manifest": str(target), **manifest.counts.model_dump(mode="json")})
        return
    _print_counts(manifest.counts, f"{opened.metadata.spec().title}, {protocol}")
    print_line(f"{target}")
    print_line(f"next: mampctl train pretrain {recipe_options(opened.metadata, protocol)} --store {path}")


def _print_counts(counts: SplitCounts, what: str) -> None:
    if counts.official_train is None or counts.official_test is None:
        print_table([("train", f"{counts.train:,}"), ("test", f"{counts.test:,}")], ("side", "clips"))
        print_line(f"no official count of {what}")
    else:
        official = (("train", counts.train, counts.official_train), ("test", counts.test, counts.official_test))
        rows = [(side, f"{got:,}", f"{wanted:,}", f"{got - wanted:+,}") for side, got, wanted in official]
        print_table(rows, ("side", "clips", "official", "difference"))
        if any(got != wanted for _, got, wanted in official):
            print_line(
                f"the counts differ from the official ones of {what}; those are of all raw files, without the "
                "missing-skeleton list (ingest --exclude)"
            )
    if counts.unlisted:
        print_line(f"{counts.unlisted:,} clips are on neither side: left out")
