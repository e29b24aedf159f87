"""`mampctl export`: a store's clips in the files other code reads."""

from pathlib import Path
from typing import Annotated

import typer

from mampctl.console import print_json, print_line
from mampctl.places import only_store
from mampctl.progress import show_progress

app = typer.Typer(help="Write a store's clips in a format other code reads.", no_args_is_help=True)


@app.callback()
def _export() -> None:
    """Write a store's clips in a format other code reads."""


@app.command("npz")
def npz(
    protocol: Annotated[str, typer.Option(help="Which protocol's train and test sides.")],
    out: Annotated[Path, typer.Option(help="The npz file.")],
    store: Annotated[Path | None, typer.Option(help="The store. [default: the one in $MAMPCTL_DATA]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write x, y and names of both sides: (clips, 300, 150) float32 and one-hot labels."""
    from mamp_pipeline.convert.npz import export_npz
    from mamp_pipeline.splits import read_manifest
    from mamp_pipeline.store.read import open_store

    opened = open_store(store or only_store())
    opened.metadata.spec().protocol(protocol)
    manifest = read_manifest(opened, protocol)
    with show_progress() as progress:
        export_npz(opened, manifest, out, progress)
    if as_json:
        print_json({"file": str(out), "train": manifest.counts.train, "test": manifest.counts.test})
        return
    print_line(f"{out}: {manifest.counts.train:,} train and {manifest.counts.test:,} test clips")
