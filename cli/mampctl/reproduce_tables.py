"""A plan and a reproduced table, as a terminal shows them."""

from collections.abc import Sequence

from mamp_schemas.reproduction import ObtainedTable, ReproductionPlan, DryRun
from mampctl.console import print_line, print_table


def print_dry_run(plan: ReproductionPlan, preview: DryRun) -> None:
    """Print which runs a table takes, how far they are, and how long the others will take."""
    rows = [
        (
            line.run,
            line.state,
            line.epochs,
            "unknown" if line.train_clips is None else f"{line.train_clips:,}",
            "" if line.state == "done" or line.seconds is None else _format_estimate(line.seconds),
        )
        for line in preview.lines
    ]
    print_table(rows, ("run", "state", "epochs", "training clips", "estimated time"))
    left = [line for line in preview.lines if line.state in ("to do", "begun")]
    total = sum(line.seconds or 0.0 for line in left)
    print_line(
        f"table {plan.table}, scale {plan.scale}: {len(left)} of {len(preview.lines)} runs to do, about "
        f"{_format_estimate(total)} on {preview.device} (an estimate: {preview.basis})"
    )
    if preview.manifests:
        print_line(f"{preview.manifests} split manifests will be made")
    for problem in preview.missing:
        print_line(f"missing: {problem}")


def print_tables(tables: Sequence[ObtainedTable]) -> None:
    """Print what was obtained beside what is published."""
    from mamp_trainer.reproduce.write import describe_column, describe_row, show_cell, table_title

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
    """Return a time that is only estimated, in what it is about."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 72 else f"{hours / 24:.1f} d"
