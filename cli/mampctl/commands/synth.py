"""`mampctl synth`: write synthetic raw files in NTU's format."""

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from mampctl.options import JsonOption, path_option
from mampctl.output.console import count, print_json, print_summary
from mampctl.output.hints import print_hint
from mampctl.output.progress import show_progress

logger = logging.getLogger(__name__)


def synth(
    dataset: Annotated[
        Literal["ntu60", "ntu120"], typer.Argument(help="The dataset whose names and numbers to follow.")
    ],
    out: Annotated[Path, path_option("A new folder, or a zip archive.")],
    clips: Annotated[int, typer.Option(min=1, help="Number of clips.")],
    classes: Annotated[int, typer.Option(min=1, help="Number of action classes.")] = 10,
    setups: Annotated[int, typer.Option(min=1, help="Number of setups.")] = 4,
    subjects: Annotated[int, typer.Option(min=1, help="Number of subjects.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write synthetic raw files in NTU's format.

    Movements depend on the class; some clips have two bodies or gaps in tracking. The same seed gives the same files.
    """
    from mamp_pipeline.synth.ntu import synthesise

    with show_progress() as progress:
        logger.info(f"writing {clips:,} clips to {out}")
        synthesise(dataset, out, progress, clips=clips, classes=classes, setups=setups, subjects=subjects, seed=seed)
    if as_json:
        print_json({"raw": str(out), "dataset": dataset, "clips": clips, "classes": classes})
        return
    print_summary(out, f"{count(clips, 'clip')} of {classes} {'class' if classes == 1 else 'classes'}")
    print_hint("ingest", dataset, "--raw", out)
