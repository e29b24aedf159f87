"""`mampctl verify`: read a whole store and compare it with its digests."""

import typer

from mamp_schemas.errors import ExitCode
from mamp_schemas.io.storage_path import parse_storage_path
from mampctl.options import JsonOption, StoreArgument
from mampctl.output.console import count, elapsed, print_json, print_line
from mampctl.output.hints import print_hint, suggest_next_command
from mampctl.output.progress import show_progress


def verify(
    store: StoreArgument,
    as_json: JsonOption = False,
) -> None:
    """Check a whole store against its digests.

    Every row is read; digests, motion, intensity and content hash must agree.
    """
    from mamp_pipeline.store.verify import verify_store as run
    from mamp_schemas.io.store_reader import open_store

    opened = open_store(parse_storage_path(store), check_columns=False)
    with show_progress() as progress:
        report = run(opened, progress)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        for problem in report.problems:
            print_line(f"problem: {problem}")
        state = count(len(report.problems), "problem") if report.problems else "all digests agree"
        print_line(
            f"{store}: {count(report.clips, 'clip')}, {count(report.rows, 'row')} read in {elapsed():.1f} s: {state}"
        )
        if not report.problems:
            print_hint(*suggest_next_command(opened))
    if report.problems:
        raise typer.Exit(ExitCode.FAILED)
