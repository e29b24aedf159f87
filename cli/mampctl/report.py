"""`mampctl report`: a store looked at as a whole, as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from mamp_schemas.places import parse_path, parse_place
from mampctl.completion import complete_store
from mampctl.console import print_json, print_line, print_next, print_summary, print_table
from mampctl.extras import needed_extras
from mampctl.progress import show_progress


def report(
    store: Annotated[str, typer.Argument(help="The store.", autocompletion=complete_store)],
    out: Annotated[
        Path,
        typer.Option(parser=parse_path, metavar="PATH", help="The HTML file; one that is there is replaced."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write one self-contained page: counts, motion, outliers, clips to play, quarantine, provenance."""
    with needed_extras():
        import plotly  # noqa: F401 - the page needs it at the end of a long read: say so at its beginning

    from mamp_pipeline.report.outliers import CRITERIA
    from mamp_pipeline.report.store_report import write_report
    from mamp_pipeline.store.read import open_store

    opened = open_store(parse_place(store))
    with show_progress() as progress:
        result = write_report(opened, out, progress)
    if as_json:
        print_json({"file": str(out), "bytes": result.size, "outliers": result.outliers, "viewable": result.viewable})
        return
    rows = [(CRITERIA[kind][0], f"{clips:,}") for kind, clips in result.outliers.items()]
    print_table(rows, ("outliers", "clips"))
    clips = f"{len(opened.ids):,} clips, {result.viewable} of them to play"
    print_summary(out, f"{clips}, {result.size / 1e6:.1f} MB")
    print_line("open it in a browser")
    if opened.ids:
        print_next("show", store, opened.ids[0])
