"""The `mampctl` command with all its subcommands.

Exit codes: 0 done, 1 failed, 2 usage error, 3 done but files were quarantined and --strict was given, 130 interrupted
by SIGINT (Ctrl-C), 75 stopped by SIGTERM (EX_TEMPFAIL: batch systems queue the job again; training resumes with
--resume).
"""

import atexit
import gc
import sys
from typing import Annotated, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from mampctl.commands import (
    analyse,
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
from mampctl.runtime.group import MampctlGroup, QuietOption, RunIdOption, ThreadsOption

app = typer.Typer(
    name="mampctl",
    cls=MampctlGroup,
    help="Masked motion prediction on 3D skeletons: from raw files to pre-trained encoders and their scores.",
    no_args_is_help=True,
    epilog="Every option can be set by a variable, MAMPCTL_COMMAND_OPTION: see docs/environment.md.",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("ingest", cls=ingest.IngestCommand)(ingest.ingest)
app.command("build-splits")(build_splits.build_splits)
app.command("verify")(verify.verify)
app.command("info")(info.info)
app.command("report")(report.report)
app.command("analyse")(analyse.analyse)
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
def _global_options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    _quiet: QuietOption = False,
    _run_id: RunIdOption = None,
    _threads: ThreadsOption = None,
) -> None:
    """Masked motion prediction on 3D skeletons: from raw files to pre-trained encoders and their scores."""


def root_command() -> TyperGroup:
    """Return the command at the top, with all that is below it."""
    return cast("TyperGroup", get_command(app))


def run_app() -> None:
    """Run the command line."""
    # Python searches everything for garbage before it exits, which takes 0.1 s; nothing is searched once frozen.
    atexit.register(gc.freeze)
    app()
