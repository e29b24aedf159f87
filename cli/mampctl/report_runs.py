"""What `mampctl report` does with runs: reads what they left, and puts it on one page."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mamp_pipeline.report.run_data import RunReport
    from mamp_trainer.ledger.runs import Run

_TITLE_FIELDS = frozenset({"name", "summary"})
"""Fields of a recipe that are titles: what differs in them only is no difference."""


def read_runs(folders: Sequence[Path]) -> "list[RunReport]":
    """Read the records, recipes and metrics of runs.

    Raises:
        RecordError: a recipe, or metrics, cannot be read.
        ConfigError: a recipe is not YAML.
    """
    from mamp_pipeline.report.curves import shortest_unique_paths
    from mamp_pipeline.report.run_data import RunReport
    from mamp_trainer.ledger.files import read_curve, read_recipe_data
    from mamp_trainer.ledger.lines import summarise_run
    from mamp_trainer.ledger.runs import read_run

    runs = [read_run(folder) for folder in folders]
    settings = [read_recipe_data(folder) for folder in folders]
    names = shortest_unique_paths([folder.resolve().parts for folder in folders])
    read = []
    for run, own, name, differs in zip(runs, settings, names, _differences_by_run(runs, settings), strict=True):
        course, line = read_curve(run.folder), summarise_run(run)
        read.append(
            RunReport(
                name=name,
                path=str(run.folder),
                state=run.state,
                settings=own,
                differs=differs,
                outcome={
                    "epochs": line.epochs,
                    "last_loss": course.epochs[-1].get("loss") if course.epochs else None,
                    "last_top1": line.last_top1,
                    "best_top1": line.best_top1,
                    "seconds": line.seconds,
                },
                device=run.record.device if run.record else "",
                train=course.train,
                epochs=course.epochs,
                notes=[problem] if (problem := run.problem or line.problem) else [],
            )
        )
    return read


def _differences_by_run(runs: "Sequence[Run]", settings: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return what tells each run from the others of its task: `key value`, of its recipe and its encoder."""
    from mamp_trainer.ledger.fields import find_differences, flatten, show_value

    tasks = defaultdict(list)
    for place, own in enumerate(settings):
        tasks[own.get("kind")].append(place)
    told: list[list[str]] = [[] for _ in runs]
    for task, places in tasks.items():
        sides = [{key: value for key, value in flatten(settings[at]).items() if key not in _TITLE_FIELDS} for at in places]
        for side, at in zip(sides, places, strict=True):
            if task != "pretrain":
                record = runs[at].record
                side["encoder"] = record.encoder if record else "not recorded yet"
        for difference in find_differences(sides):
            for at, value in zip(places, difference.values, strict=True):
                told[at].append(f"{difference.key} {show_value(value)}")
    return told
