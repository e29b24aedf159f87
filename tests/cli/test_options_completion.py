"""What a shell is offered, by the protocol that its completion function speaks."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.paths import GOLDEN

COMMAND = """
import atexit, sys
sys.argv = ["mampctl"]
atexit.register(lambda: sys.stderr.write(" ".join(name for name in ("torch", "numba", "dask") if name in sys.modules)))
from mampctl.runtime.main import main
main()
"""


def offered(line: str, shell: str = "bash", **environment: str) -> list[str]:
    """Return what is offered at the end of a line; nothing heavy may be imported for it."""
    words = line.split(" ")
    spoken = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
    }[shell]
    outcome = subprocess.run(
        [sys.executable, "-c", COMMAND],
        env=os.environ | spoken | {"_MAMPCTL_COMPLETE": f"complete_{shell}"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stderr == ""
    return re.findall(r'"([^"]+)"(?::"[^"]*")?', outcome.stdout) if shell == "zsh" else outcome.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_complete__commands_and_recipes_in_both_shells(shell: str) -> None:
    assert {"ingest", "doctor", "train"} <= set(offered("mampctl ", shell))
    assert offered("mampctl train linear --recipe ntu60-x", shell) == ["ntu60-xsub", "ntu60-xview"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mampctl train fine", "finetune"),
        ("mampctl verify --", "--quiet"),
        ("mampctl build-splits --protocol xs", "xset"),
        ("mampctl export npz --protocol ", "xview"),
        ("mampctl ingest ntu60 --policy ", "corrected"),
        ("mampctl train semi --recipe ntu60-xsub-1", "ntu60-xsub-10pct"),
        ("mampctl train pretrain --recipe li", "list"),
    ],
)
def test_complete__offers(line: str, expected: str) -> None:
    assert expected in offered(line)


def test_complete__recipe_files_are_left_to_the_shell() -> None:
    assert offered("mampctl train pretrain --recipe ./mi") == []


def test_complete__stores_and_clips_of_the_data_folder(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "ntu60.zarr"
    assert run("ingest", "ntu60", "--raw", GOLDEN / "ntu60" / "raw.zip", "--out", store, "--workers", "0").code == 0
    for line in ("mampctl verify ", "mampctl train linear --store ", "mampctl build-splits --store "):
        assert offered(line, MAMPCTL_DATA=str(tmp_path)) == [str(store)]
    assert offered(f"mampctl show {store} S001C002") == ["S001C002P034R002A010"]
    assert offered(f"mampctl show {tmp_path} S") == []


def test_complete__answers_in_half_a_second() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    offered("mampctl train pretrain --recipe ")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time: the other tests that run at the same time do not lengthen it.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
