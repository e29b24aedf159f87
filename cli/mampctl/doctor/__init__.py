"""The checks of `mampctl doctor`. Each is a function that returns findings and never raises."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mamp_schemas.errors import MampctlError

State = Literal["ok", "warning", "problem"]
"""Good; something that some command needs is missing; something that prevents work is wrong."""


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    Attributes:
        state: good, a warning or a problem.
        about: what was checked: `python`, `torch`, `store`.
        text: the result.
        remedy: what to do about it; empty where nothing is to be done.
    """

    state: State
    about: str
    text: str
    remedy: str = ""


def finding_of_error(state: State, about: str, error: MampctlError) -> Finding:
    """Return an error as a finding with its text on one line."""
    return Finding(state, about, " ".join(error.message.split()), error.remedy)


def count_state(findings: Sequence[Finding], state: State) -> int:
    """Return the number of findings in a state."""
    return sum(finding.state == state for finding in findings)
