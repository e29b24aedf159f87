"""The end of a process that is one of several."""

import pytest

from mampctl.runtime.main import is_distributed


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"WORLD_SIZE": "1"}, False),
        ({"WORLD_SIZE": "2"}, True),
        ({"SLURM_STEP_NUM_TASKS": "8"}, True),
        ({"WORLD_SIZE": "many"}, False),
        ({"WORLD_SIZE": "\N{SUPERSCRIPT TWO}"}, False),
        ({"WORLD_SIZE": "0"}, False),
        ({"WORLD_SIZE": "01"}, False),
        ({"WORLD_SIZE": "9" * 5_000}, True),
    ],
)
def test_is_one_of_many__by_the_environment(environment: dict[str, str], expected: bool) -> None:
    assert is_distributed(environment) is expected
