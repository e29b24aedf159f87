"""`mampctl ingest`: raw files to a store."""

import time
from pathlib import Path
from typing import Annotated

import typer

from mamp_schemas.datasets import DATASETS, DatasetName
from mampctl.console import print_json, print_line, print_note
from mampctl.places import default_store
from mampctl.progress import show_progress

EXIT_FAILED, EXIT_QUARANTINED, EXIT_INTERRUPTED = 1, 3, 130


def ingest(
    dataset: Annotated[DatasetName, typer.Argument(help="The dataset the raw files are of.")],
    raw: Annotated[list[Path], typer.Option(help="A folder or zip archive of raw files; may be given several times.")],
    out: Annotated[Path | None, typer.Option(help="The store. [default: $MAMPCTL_DATA/DATASET.zarr]")] = None,
    exclude: Annotated[
        Path | None, typer.Option(help="A list of clips to leave out, one name a line: the missing-skeleton list.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 3 when files were quarantined.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make a store from raw files. Files that cannot be read are quarantined with the reason.

    Run the same command again after an interruption: it goes on where it stopped.
    """
    from mamp_pipeline.build.ingest import Ingest
    from mamp_pipeline.build.ingest import ingest as run
    from mamp_schemas.policy import paper_policy

    target = out or default_store(dataset)
    started = time.monotonic()
    try:
        with show_progress() as progress:
            if out is None:
                progress.message(f"writing to {target}")
            metadata = run(Ingest(dataset, tuple(raw), target, paper_policy(dataset), exclude), progress)
    except KeyboardInterrupt:
        print_note("interrupted: run the same command again, it goes on where it stopped")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    counts = metadata.counts
    if as_json:
        print_json(metadata.model_dump(mode="json"))
    else:
        seconds = time.monotonic() - started
        print_line(f"{target}: {counts.clips:,} clips, {counts.rows:,} rows, {counts.quarantined:,} files quarantined")
        print_line(f"content hash {metadata.content_hash[:16]}, {seconds:.1f} s")
        for entry in metadata.quarantined[:10]:
            print_line(f"  quarantined {entry.file}{f', line {entry.line}' if entry.line else ''}: {entry.reason}")
        if counts.quarantined > 10:
            print_line(f"  and {counts.quarantined - 10:,} more: mampctl info {target}")
        if counts.clips:
            protocol = DATASETS[dataset].protocols[0].name
            print_line(f"next: mampctl build-splits --protocol {protocol} --store {target}")
        else:
            print_line("no clip is left: every file was quarantined")
    if strict and counts.quarantined:
        raise typer.Exit(EXIT_QUARANTINED)
    if not counts.clips:
        raise typer.Exit(EXIT_FAILED)
