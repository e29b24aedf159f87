"""The report of runs: their curves together, and what each of them does to the clips, on one page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mamp_pipeline.report.curves import training_curves
from mamp_pipeline.report.output import write_output
from mamp_pipeline.report.page import render_runs_page
from mamp_pipeline.report.run_data import RunReport
from mamp_pipeline.report.run_parts import confusion_data, features_data, reconstruction_data


def write_runs_page(runs: Sequence[RunReport], out: Path) -> int:
    """Write a report of runs as one HTML file; return its bytes.

    Args:
        runs: at least one.
        out: the file; one that is there is replaced.

    Raises:
        OutputError: the file cannot be written.
    """
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    return write_output(out, render_runs_page(f"report of {title}", runs_page_data(runs)).encode())


def runs_page_data(runs: Sequence[RunReport]) -> dict[str, Any]:
    """Return the page's data."""
    return {"runs": [_run_data(run, len(runs)) for run in runs]}


def _run_data(run: RunReport, runs: int) -> dict[str, Any]:
    confusion, features, predictions = run.confusion, run.features, run.predictions
    return {
        "name": run.name,
        "path": run.path,
        "state": run.state,
        "kind": run.settings.get("kind", "unknown"),
        "recipe": run.settings.get("name", ""),
        "dataset": run.settings.get("dataset", ""),
        "protocol": run.settings.get("protocol", ""),
        "differs": list(run.differs),
        "outcome": dict(run.outcome),
        "device": run.device,
        "notes": list(run.notes),
        **training_curves(run.train, run.epochs),
        "confusion": {"missing": confusion} if isinstance(confusion, str) else confusion_data(confusion),
        "features": {"missing": features} if isinstance(features, str) else features_data(features, runs),
        "predictions": (
            {"missing": predictions} if isinstance(predictions, str) else reconstruction_data(predictions, runs)
        ),
    }
