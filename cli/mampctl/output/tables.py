"""Runs, plans, reproduced tables and evaluated networks as text for a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mampctl.output.console import print_line, print_summary, print_table

if TYPE_CHECKING:
    from mamp_schemas.models.reproduction import DryRun, ObtainedTable, ReproductionPlan
    from mamp_schemas.models.results import Hardware, NetworkMeasurement, RunRecord, Spread
    from mamp_trainer.runs.compare import Aspect, Comparison, Group
    from mamp_trainer.runs.index import RunDetail, RunSummary

_RUN_HEADER = ("run", "task", "recipe", "data", "seed", "state", "last", "best (epoch)", "time", "finished (UTC)")
_DIGEST_ASPECTS = ("store", "split manifest", "encoder")
"""Aspects whose value is a digest."""


def print_runs(lines: Sequence["RunSummary"]) -> None:
    """Print a table of runs, and the problems of damaged ones."""
    if not lines:
        print_line("no runs")
        return
    print_table([_run_row(line) for line in lines], _RUN_HEADER)
    for line in lines:
        if line.problem:
            print_line(f"problem: {line.problem}")


def print_detail(detail: "RunDetail") -> None:
    """Print everything known of a run."""
    line, record = detail.line, detail.record
    fields = dict(zip(_RUN_HEADER, _run_row(line), strict=True)) | (_record_fields(record) if record else {})
    for name, value in fields.items():
        if value != "":
            print_line(f"{name:<14} {value}")
    if line.problem:
        print_line(f"problem: {line.problem}")
    for note in detail.notes:
        print_line(f"note: {note}")
    if detail.recipe is None:
        return
    if not detail.shipped:
        print_line(f"recipe {line.recipe} is not a built-in; see recipe.yaml")
        return
    print_line(f"recipe {line.recipe}: as built in{', except for (built-in / this run)' if detail.changes else ''}")
    for change in detail.changes:
        print_line(f"  {change}")


def print_comparison(comparison: "Comparison") -> None:
    """Print a table of runs, what differs between them, and the spread over the runs of one setting."""
    print_runs(comparison.runs)
    print_line()
    for aspect in comparison.aspects:
        _print_aspect(aspect)
    if all(aspect.state == "same" for aspect in comparison.aspects):
        print_line("the records do not differ")
    for group in comparison.groups:
        print_line()
        _print_group(group)


def _run_row(line: "RunSummary") -> tuple[object, ...]:
    subset = f" {100 * line.subset.fraction:g} % draw {line.subset.draw}" if line.subset else ""
    epochs = f" {line.epochs}/{line.planned_epochs}" if line.state == "incomplete" else ""
    return (
        line.run,
        line.task or "",
        line.recipe or "",
        f"{line.dataset} {line.protocol}{subset}" if line.dataset else "",
        "" if line.seed is None else line.seed,
        f"{line.state}{epochs}",
        _last_metric(line),
        "" if line.best_top1 is None else f"{line.best_top1:.2f} % ({line.best_epoch})",
        "" if line.seconds is None else _format_duration(line.seconds),
        "" if line.finished is None else f"{line.finished:%Y-%m-%d %H:%M}",
    )


def _last_metric(line: "RunSummary") -> str:
    if line.last_top1 is not None:
        return f"{line.last_top1:.2f} %"
    return "" if line.last_loss is None else f"loss {line.last_loss:.4f}"


def _format_duration(seconds: float) -> str:
    """Return a wall time in seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _record_fields(record: "RunRecord") -> dict[str, object]:
    origin = record.origin
    result = record.result.model_dump(exclude={"kind", "metrics"})
    result |= record.result.model_dump().get("metrics", {})
    return {
        "result": ", ".join(f"{name} {value}" for name, value in result.items()),
        "recipe hash": record.recipe_hash,
        "store hash": record.store_hash,
        "manifest hash": record.manifest_hash,
        "encoder": record.encoder,
        "encoder from": origin.checkpoint if origin else "",
        "its weights": origin.weights if origin else "",
        "its recipe": (origin.recipe_hash or "unknown: a released file") if origin else "",
        "device": record.device,
        "hardware": _format_hardware(record.hardware),
        "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
        "from, to": f"{record.started:%Y-%m-%d %H:%M:%S} – {record.finished:%Y-%m-%d %H:%M:%S}",
        "sessions": record.sessions,
        "run id": record.run_id or "",
    }


def _format_hardware(hardware: "Hardware") -> str:
    gpus = [f"{count} × {name}" for name, count in hardware.gpus.items()] or ["no GPU"]
    cores = f"{hardware.cores} of {hardware.cores_present} cores"
    return ", ".join(
        (
            hardware.cpu,
            cores,
            f"{hardware.memory_gb:g} GB",
            *gpus,
            f"{hardware.ranks} rank{'s' * (hardware.ranks > 1)}",
        )
    )


def _print_aspect(aspect: "Aspect") -> None:
    name, differences = f"{aspect.name:<14}", aspect.differences
    if aspect.state != "differs":
        state = "same" if aspect.state == "same" else "not known of every run; the same where known"
        print_line(f"{name}  {state}")
    elif aspect.name in _DIGEST_ASPECTS:
        print_line(f"{name}  other: {differences[0].show_values()}")
    elif len(differences) == 1:
        print_line(f"{name}  same but for {differences[0]}")
    else:
        print_line(f"{name}  same but for")
        for difference in differences:
            print_line(f"{'':<16}{difference}")


def _print_group(group: "Group") -> None:
    several = {"seeds": group.seeds, "draws": group.draws}
    varied = "; ".join(f"{name} {', '.join(map(str, values))}" for name, values in several.items() if values)
    print_line(f"{len(group.runs)} runs of one setting ({varied})")
    spreads: dict[str, Spread | None] = {
        "top-1 %, last epoch": group.last_top1,
        "top-1 %, best epoch": group.best_top1,
        "loss, last epoch": group.last_loss,
    }
    for name, spread in spreads.items():
        if spread is not None:
            print_line(f"  {name:<20} {spread}")


def print_dry_run(plan: "ReproductionPlan", dry_run: "DryRun") -> None:
    """Print the runs of a table: their state, and the estimated time of those to do."""
    rows = [
        (
            line.run,
            line.state,
            line.epochs,
            "unknown" if line.train_clips is None else f"{line.train_clips:,}",
            "" if line.state == "done" or line.seconds is None else _format_estimate(line.seconds),
        )
        for line in dry_run.lines
    ]
    print_table(rows, ("run", "state", "epochs", "training clips", "estimated time"))
    left = [line for line in dry_run.lines if line.state in ("to do", "begun")]
    total = sum(line.seconds or 0.0 for line in left)
    print_line(
        f"table {plan.table}, scale {plan.scale}: {len(left)} of {len(dry_run.lines)} runs to do, about "
        f"{_format_estimate(total)} on {dry_run.device} (an estimate: {dry_run.basis})"
    )
    if dry_run.manifests:
        print_line(f"{dry_run.manifests} split manifests will be made")
    for problem in dry_run.missing:
        print_line(f"missing: {problem}")


def print_tables(tables: "Sequence[ObtainedTable]") -> None:
    """Print reproduced results beside the published ones."""
    from mamp_trainer.reproduce.tables import describe_column, describe_row, show_cell, table_title

    for table in tables:
        print_line(table_title(table))
        rows = [
            (
                describe_row(row),
                describe_column(table.published.columns[cell.column]),
                "–" if (value := row.values[cell.column]) is None else f"{value:.1f}",
                *show_cell(cell, table.measure),
            )
            for cell in table.cells
            for row in [table.published.rows[cell.row]]
        ]
        print_table(rows, ("method", "data", "published", "obtained", "difference", "best epoch"))
        for problem in dict.fromkeys(cell.problem for cell in table.cells if cell.problem):
            print_line(f"failed: {problem}")


def _format_estimate(seconds: float) -> str:
    """Return an estimated time, rounded."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 72 else f"{hours / 24:.1f} d"


def print_measured_network(measured: "NetworkMeasurement", clips: str) -> None:
    """Print the measured network, its data, and how long it took."""
    print_summary(f"{measured.network} (recipe {measured.recipe}), {measured.dataset} {measured.protocol}", clips)
