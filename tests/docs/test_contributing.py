"""CONTRIBUTING.md names every package of the tree, and no other; the files it names exist; its plug-ins work."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.docs.commands import ROOT, find_commands
from tests.docs.test_commands import reduced

PAGE = ROOT / "CONTRIBUTING.md"
TEXT = PAGE.read_text()
PACKAGES = ("schemas/mamp_schemas", "pipeline/mamp_pipeline", "trainer/mamp_trainer", "cli/mampctl")
FILES = re.findall(r"^\| [^|]+ \| `([^`|]+/[^`|]+)` \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_contributing__names_every_package(package: str) -> None:
    section = TEXT.partition(f"### Packages in `{package}`\n")[2].partition("\n#")[0]
    named = re.findall(r"^\| `([^`]+)` \| [^|]+\.[^|]* \|$", section, re.MULTILINE)
    inside = [file.parent.relative_to(ROOT / package).as_posix() for file in (ROOT / package).rglob("__init__.py")]
    assert sorted(named) == sorted(name for name in inside if name != ".")


def test_contributing__shows_the_layers_of_the_trainer() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract.get("containers") == ["mamp_trainer"])
    (shown,) = re.findall(r"^```text\n(reproduce →.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert re.split(r"\s*→\s*", shown.strip()) == layers


def test_contributing__names_files() -> None:
    assert len(FILES) >= 6


@pytest.mark.parametrize("file", FILES)
def test_contributing__names_files_that_exist(file: str) -> None:
    assert (ROOT / file).is_file(), f"CONTRIBUTING.md names {file}: correct it"


def test_contributing__plug_ins_work(tmp_path: Path) -> None:
    """The walk-throughs' files and entry points, installed as a distribution, run the walk-throughs' commands."""
    install_plug_ins(tmp_path / "site")
    write_recordings(tmp_path / "recordings")
    for name, content in titled_blocks("yaml"):
        (tmp_path / name).write_text(content)
    commands = [reduced(command.arguments) for command in find_commands(PAGE) if command.arguments]
    assert len(commands) >= 6
    outcome = run_with_plug_ins(tmp_path, *commands)
    assert outcome.codes == [0] * len(commands), outcome.errors
    assert (tmp_path / "data" / "runs" / "maxpool-toy-maxpool" / "run.json").exists()


def test_contributing__damaged_recording_is_quarantined(tmp_path: Path) -> None:
    install_plug_ins(tmp_path / "site")
    write_recordings(tmp_path / "recordings")
    (tmp_path / "recordings" / "1_2.txt").write_text("0 0 0 0 0 0 0 0\n")
    assert run_with_plug_ins(tmp_path, ["ingest", "toy", "--raw", "recordings", "--strict"]).codes == [3]


def titled_blocks(language: str) -> list[tuple[str, str]]:
    """Return the title and the content of the page's blocks in a language."""
    return re.findall(rf'^```{language} title="([\w.-]+)"\n(.*?)^```', TEXT, re.DOTALL | re.MULTILINE)


def install_plug_ins(site: Path) -> None:
    """Write the page's Python files, and the entry points that register them, as an installed distribution."""
    info = site / "walk_through-1.0.dist-info"
    info.mkdir(parents=True)
    for name, content in titled_blocks("python"):
        (site / name).write_text(content)
    lines = []
    for table in re.findall(r"^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE):
        for group, entries in tomllib.loads(table)["project"]["entry-points"].items():
            lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: walk-through\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def write_recordings(folder: Path) -> None:
    """Write clips of three joints, two classes and four subjects."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for subject in range(1, 5):
        for action in (1, 2):
            np.savetxt(folder / f"{subject}_{action}.txt", generator.normal(size=(20, 9)), fmt="%.4f")


class Outcome(NamedTuple):
    """Exit codes of commands, up to the first that is not 0, and their standard error."""

    codes: list[int]
    errors: str


RUN_COMMANDS = """
import json, sys
from mampctl.runtime.app import run_app

codes = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["mampctl", *arguments]
    try:
        run_app()
        codes.append(0)
    except SystemExit as leave:
        codes.append(int(leave.code or 0))
    if codes[-1]:
        break
open("codes.json", "w").write(json.dumps(codes))
"""


def run_with_plug_ins(folder: Path, *commands: list[str]) -> Outcome:
    """Run commands one after another in a process that finds the plug-ins."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAMPCTL_")}
    environment |= {"PYTHONPATH": str(folder / "site"), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", RUN_COMMANDS, json.dumps(commands)]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return Outcome(json.loads((folder / "codes.json").read_text()), done.stderr[-3000:])
