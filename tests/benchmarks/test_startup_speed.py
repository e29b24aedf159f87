"""How long the command line takes to answer."""

import resource
import subprocess
import sys

import pytest


@pytest.mark.benchmark
def test_help__answers_in_half_a_second() -> None:
    command = [sys.executable, "-m", "mampctl", "--help"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "ingest" in outcome.stdout
    # Processor time: the other tests that run at the same time do not lengthen it.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
