"""`mampctl doctor`: check the installation, the machine and the data, and name the command that fixes each problem."""

import os
from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

import typer

from mamp_schemas.errors import ExitCode, UsageError
from mampctl.defaults import data_folder
from mampctl.doctor import Finding, count_state, finding_of_error
from mampctl.options import JsonOption
from mampctl.output.console import elapsed, print_json, print_line
from mampctl.runtime.environment import unknown_variables

if TYPE_CHECKING:
    from typer.core import TyperGroup


def doctor(
    context: typer.Context,
    as_json: JsonOption = False,
) -> None:
    """Check the installation, the machine and the data.

    Every finding that needs something names the command that fixes it. Exit code 1 where there is a problem; warnings,
    such as an extra that is not installed, do not change it.
    """
    findings = run_checks(unknown_variables(cast("TyperGroup", context.find_root().command), os.environ))
    counts = {state: count_state(findings, state) for state in ("ok", "warning", "problem")}
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings], **counts})
    else:
        _print_findings(findings)
        print_line(f"warnings: {counts['warning']}, problems: {counts['problem']}, {elapsed():.1f} s")
    if counts["problem"]:
        raise typer.Exit(ExitCode.FAILED)


def run_checks(unknown_variables: Collection[str]) -> list[Finding]:
    """Return the findings of all checks; `unknown_variables` are variables that set no option."""
    from mampctl.doctor.data import check_data
    from mampctl.doctor.machine import check_environment, check_machine
    from mampctl.doctor.packages import check_packages

    try:
        folder = data_folder()
    except UsageError as problem:
        return [*check_packages(), *check_environment(unknown_variables), finding_of_error("problem", "data", problem)]
    return [*check_packages(), *check_machine(folder), *check_environment(unknown_variables), *check_data(folder)]


def _print_findings(findings: list[Finding]) -> None:
    for finding in findings:
        print_line(f"{finding.state:<8} {finding.about:<10} {finding.text}")
        if finding.remedy:
            print_line(f"{'':<19} -> {finding.remedy}")
