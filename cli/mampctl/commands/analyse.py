"""`mampctl analyse`: compute what reports show of a run's network, and keep it in the run's folder."""

from pathlib import Path
from typing import Annotated

from mampctl.defaults import store_of_recipe
from mampctl.options import DeviceOption, JsonOption, RunStoreOption, path_argument
from mampctl.output.console import print_json, print_line, print_summary
from mampctl.output.hints import print_hint
from mampctl.output.progress import show_progress
from mampctl.runtime.errors import needed_extras


def analyse(
    run: Annotated[Path, path_argument("RUN", "The folder of a run.")],
    store: RunStoreOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Write what reports show of a run's network.

    The file analysis.json in the run's folder gets confusions, features and masked predictions. Training writes
    it, too.
    """
    with needed_extras():
        from mamp_trainer.analysis.run_analysis import analyse_run, find_checkpoint
        from mamp_trainer.checkpoints.provenance import read_training_recipe

    from mamp_schemas.io.run_files import ANALYSIS_FILE

    with show_progress() as progress:
        recipe = read_training_recipe(find_checkpoint(run))
        analysis = analyse_run(run, store_of_recipe(store, recipe), device, progress)
    file = run / ANALYSIS_FILE
    parts = [name for name in ("confusion", "features", "reconstruction") if getattr(analysis, name) is not None]
    if as_json:
        print_json(
            {
                "file": str(file),
                "bytes": file.stat().st_size,
                "checkpoint": analysis.checkpoint,
                "parts": parts,
                "unavailable": analysis.unavailable,
            }
        )
        return
    print_summary(file, f"{', '.join(parts) or 'nothing'} of {analysis.checkpoint}")
    for part, reason in analysis.unavailable.items():
        print_line(f"no {part}: {reason}")
    print_hint("report", run, "--out", "report.html")
