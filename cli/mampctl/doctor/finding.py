"""The result of one check of `mampctl doctor`, and its remedy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mamp_schemas.errors import MampctlError

State = Literal["ok", "warning", "problem"]
"""As it should be; something is missing that some command needs; something hinders."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        about: what was looked at: `python`, `torch`, `store`.
        text: what was found.
        remedy: what mends it, where there is something to mend.
    """

    state: State
    about: str
    text: str
    remedy: str = ""


def finding_of_error(state: State, about: str, error: MampctlError) -> Finding:
    """Return an error as a finding, on one line."""
    return Finding(state, about, " ".join(error.message.split()), error.remedy)


def count_state(findings: Sequence[Finding], state: State) -> int:
    """Return how many findings are of a state."""
    return sum(finding.state == state for finding in findings)
