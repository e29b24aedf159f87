"""The `mampctl` command: its subcommands, and how errors become messages and exit codes.

Exit codes: 0 done, 1 failed, 2 usage, 3 done with quarantined input under --strict; 130 interrupted (SIGINT, Ctrl-C);
75 a training that SIGTERM stopped, which goes on with --resume: EX_TEMPFAIL, for batch systems to queue it again.
"""

import atexit
import gc
import sys
from typing import Annotated

import typer

from mamp_schemas.errors import MampctlError, UsageError
from mampctl import (
    build_splits,
    demo,
    doctor,
    embed,
    evaluate,
    export,
    export_model,
    import_,
    info,
    ingest,
    knn,
    predict,
    report,
    reproduce,
    runs,
    show,
    synth,
    train,
    verify,
)
from mampctl.console import print_error
from mampctl.root import QuietOption, Root

app = typer.Typer(
    name="mampctl",
    cls=Root,
    help="Masked motion prediction on 3D skeletons: from raw files to pre-trained encoders and their scores.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("ingest")(ingest.ingest)
app.command("build-splits")(build_splits.build_splits)
app.command("verify")(verify.verify)
app.command("info")(info.info)
app.command("report")(report.report)
app.command("show")(show.show)
app.add_typer(export.app, name="export")
app.add_typer(import_.app, name="import")
app.add_typer(train.app, name="train")
app.command("reproduce")(reproduce.reproduce)
app.add_typer(runs.app, name="runs")
app.command("evaluate")(evaluate.evaluate)
app.command("knn")(knn.knn)
app.command("embed")(embed.embed)
app.command("predict")(predict.predict)
app.command("export-model")(export_model.export_model)
app.command("synth")(synth.synth)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"mampctl {version('mampctl')}\n")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    _quiet: QuietOption = False,
) -> None:
    """Masked motion prediction on 3D skeletons: from raw files to pre-trained encoders and their scores."""


def main() -> None:
    """Run the command line; errors a user can meet become a message and an exit code."""
    # The end of a process frees all it has; to search that for garbage first takes 0.1 s.
    atexit.register(gc.freeze)
    try:
        app()
    except MampctlError as error:
        print_error(error)
        sys.exit(2 if isinstance(error, UsageError) else 1)
