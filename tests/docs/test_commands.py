"""Every command of the documentation parses, and all that can run do, page by page, on stand-ins for the data."""

import pickle
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
import typer

from mamp_pipeline.convert.npz import read_npz
from mampctl.runtime.app import app, run_app
from tests.docs.commands import NOT_RUN, PAGES, ROOT, Command, find_commands, find_python
from tests.docs.stand_ins import PREPARED, lay_out

COMMANDS = [command for page in PAGES for command in find_commands(page)]
FROM_RAW = {
    "README.md",
    "data-ntu.md",
    "data-pku.md",
    "data-nwucla.md",
    "own-data.md",
    "policies.md",
    "results.md",
    "scaling.md",
}
"""Pages that start from raw files; on the others, stores and runs exist already."""
SHORT = ("schedule.epochs=1", "schedule.warmup_epochs=0", "batch_size=4")
SMALL = ("model.frames=16", "model.width=16", "model.depth=1", "model.heads=2")
SMALL_DECODER = ("model.decoder_width=16", "model.decoder_depth=1", "model.decoder_heads=2")
TRAINING = ("pretrain", "linear", "finetune", "semi", "transfer", "maxpool")

Run = Callable[[Command], int]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {command.line}"[:90])
def test_documented_command__parses(command: Command) -> None:
    """Every option, argument and choice that a page names exists."""
    arguments = command.arguments
    if arguments is None:
        assert command.reason, (
            f"{command.page}: `{command.line}`: give it a reason in tests/docs/commands.py, or a test"
        )
        return
    parser, rest = typer.main.get_command(app), arguments
    with click.Context(parser) as context:
        while isinstance(parser, click.Group) and rest and not rest[0].startswith("-"):
            name, rest = rest[0], rest[1:]
            subcommand = parser.get_command(context, name)
            assert subcommand is not None, f"{command.page}: there is no command `{name}`"
            parser = subcommand
        if rest == ["--help"]:
            return
        parser.make_context("mampctl", rest, parent=context)


@pytest.mark.parametrize("pattern", NOT_RUN)
def test_not_run__has_no_pattern_without_a_command(pattern: str) -> None:
    assert any(re.search(pattern, command.line) for command in COMMANDS)


def test_not_run__reasons_name_tests_that_exist() -> None:
    named = {path for reason in NOT_RUN.values() for path in re.findall(r"tests/[\w/]+\.py", reason)}
    assert named
    assert sorted(path for path in named if not (ROOT / path).is_file()) == []


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_command(command: Command) -> int:
        arguments = command.arguments
        assert arguments is not None
        monkeypatch.setattr(sys, "argv", ["mampctl", *reduced(arguments)])
        code = 0
        try:
            run_app()
        except SystemExit as leave:
            code = int(leave.code or 0)
        assert code == 0, f"{command.page}: `{command.line}`: exit code {code}\n{capsys.readouterr().err[-3000:]}"
        capsys.readouterr()
        return code

    return run_command


def reduced(arguments: list[str]) -> list[str]:
    """Return arguments that train the smallest network for an epoch."""
    if arguments[0] == "train" and arguments[1] in TRAINING:
        changes = [*SHORT, *SMALL, *(SMALL_DECODER if arguments[1] == "pretrain" else ())]
        if arguments[1] in ("finetune", "semi", "transfer"):
            changes.append("head_width=8")
        if arguments[1] == "semi":  # one percent of a few clips is no clip
            changes.append("subset.fraction=0.5")
    elif arguments[0] in ("knn", "embed") and "--recipe" in arguments:
        changes = list(SMALL)
    elif arguments[:1] == ["build-splits"] and "--fraction" in arguments:
        at = arguments.index("--fraction") + 1
        return [*arguments[:at], "0.5", *arguments[at + 1 :]]
    elif arguments[0] == "reproduce":  # only one store exists
        return [*arguments, "--scale", "small", "--only", "ntu60/xsub", "--device", "cpu"]
    else:
        return arguments
    return [*arguments, *(part for change in changes for part in ("--set", change))]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    lay_out(folder)
    return folder


@pytest.fixture(scope="module")
def prepared(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "work"
    shutil.copytree(raw, folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.delenv("MAMPCTL_DATA", raising=False)
        for line in PREPARED.strip().splitlines():
            patched.setattr(sys, "argv", ["mampctl", *reduced(Command("", line).arguments or [])])
            with pytest.raises(SystemExit) as leave:
                run_app()
            assert not leave.value.code, line
    return folder


def test_store_format__a_clip_by_plain_zarr(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared)
    names = run_python(ROOT / "docs" / "store-format.md")
    assert names["joints"].shape == (names["bodies"], names["frames"], 25, 3)


def test_convert__files_of_st_gcn_become_one_npz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clips = np.zeros((2, 3, 300, 25, 2), dtype=np.float32)  # (N, C, T, V, M)
    clips[:, :, :40] = np.random.default_rng(0).normal(size=(2, 3, 40, 25, 2))
    names = {"train": "S001C001P001R001A00{}.skeleton", "val": "S001C001P003R001A00{}.skeleton"}
    for split, name in names.items():
        np.save(f"{split}_data_joint.npy", clips)
        (tmp_path / f"{split}_label.pkl").write_bytes(pickle.dumps(([name.format(1), name.format(2)], [0, 1])))
    run_python(ROOT / "docs" / "convert.md")
    source = read_npz(Path("st_gcn.npz"), "ntu60", "xsub")
    assert source.infos[0].id == "S001C001P001R001A001"
    read = next(iter(source.read_clips())).joints  # (M, T, V, C)
    assert np.array_equal(read, clips[0].transpose(3, 1, 2, 0)[:, :40])


def run_python(page: Path) -> dict[str, Any]:
    """Run the Python examples of a page, and return the names that they define."""
    examples = find_python(page)
    assert examples
    names: dict[str, Any] = {}
    for example in examples:
        exec(example, names)
    return names


def test_readme__is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 60


def test_readme__shows_results_of_the_results_page() -> None:
    results = (ROOT / "docs" / "results.md").read_text()
    figures = re.findall(r"\d+\.\d+ ± \d+\.\d+", (ROOT / "README.md").read_text())
    assert len(figures) == 12
    assert [figure for figure in figures if figure not in results] == []


RUN = [command for command in COMMANDS if command.arguments and not command.reason]


@pytest.mark.parametrize("page", sorted({command.page for command in RUN}))
def test_documented_page__runs(
    page: str, run: Run, raw: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    shutil.copytree(raw if page in FROM_RAW else prepared, work)
    if page == "own-data.md":  # its recordings are gestures; those of other pages are NTU's
        shutil.rmtree(work / "recordings")
        (work / "gestures").rename(work / "recordings")
    monkeypatch.chdir(work)
    monkeypatch.delenv("MAMPCTL_DATA", raising=False)
    for number, command in enumerate(RUN):
        if command.page == page:
            exists = page not in FROM_RAW and "mampctl train" in command.line  # the runs that pages name
            run(Command(page, f"{command.line} --out {work}/run{number}") if exists else command)
    if page == "README.md":
        assert run_python(ROOT / page)["joints"].shape[-2:] == (20, 3)
