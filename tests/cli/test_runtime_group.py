"""What all commands share: --quiet, --json, the next command, and how signals end them."""

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mamp_schemas.io import store_reader
from mamp_schemas.models.results import EvaluationResult
from mampctl.commands import demo
from mampctl.output.progress import JsonProgress
from tests.cli.conftest import Outcome, Run
from tests.paths import GOLDEN
from tests.waiting import HANG_SECONDS

RAW = GOLDEN / "ntu60" / "raw.zip"
SLOW = """
import sys, time
from mampctl.output.progress import JsonProgress

def advance(self, count, **values):
    print("working", file=sys.stderr, flush=True)
    time.sleep(600)

JsonProgress.advance = advance
from mampctl.runtime.main import main
main()
"""
"""The command line, which stands still as soon as it has done a part of its work."""


@pytest.fixture
def store(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "my stores" / "ntu60.zarr"
    assert run("ingest", "ntu60", "--raw", RAW, "--out", path, "--workers", "0").code == 0
    assert run("build-splits", "--protocol", "xsub", "--store", path).code == 0
    return path


def test_quiet__before_and_behind_the_command_and_by_the_environment(
    run: Run, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [run("--quiet", "verify", store, "--json"), run("verify", store, "--json", "--quiet")]
    monkeypatch.setenv("MAMPCTL_QUIET", "1")
    results.append(run("verify", store, "--json"))
    assert [outcome.err for outcome in results] == ["", "", ""]
    assert all(json.loads(outcome.out)["clips"] == 28 for outcome in results)


def test_quiet__is_of_one_call_only(run: Run, store: Path) -> None:
    assert not run("verify", store, "--quiet").err
    assert '"verify"' in run("verify", store).err


def test_quiet__says_warnings_and_errors(run: Run, store: Path, tmp_path: Path) -> None:
    draws = ("--store", store, "--protocol", "xsub", "--fraction", "0.1", "--draws", "1")
    lines = run("build-splits", *draws, "--quiet").err.splitlines()
    assert [(event["level"], event["text"][:6]) for event in map(json.loads, lines)] == [("warning", "draw 1")]
    assert run("verify", tmp_path / "none", "--quiet").err.startswith('{"event": "error"')


def test_quiet__says_no_choices(run: Run, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMPCTL_DATA", str(store.parent))
    assert "store" in run("build-splits", "--protocol", "xview").err
    assert not run("build-splits", "--protocol", "xview", "--quiet").err


def test_json__is_one_document_of_every_command(run: Run, store: Path, tmp_path: Path) -> None:
    clip = "S001C001P008R002A042"
    for arguments in (
        ("synth", "ntu60", "--clips", 2, "--classes", 2, "--out", tmp_path / "raw.zip"),
        ("ingest", "ntu60", "--raw", tmp_path / "raw.zip", "--out", tmp_path / "s.zarr", "--workers", 0),
        ("build-splits", "--protocol", "xview", "--store", store),
        ("build-splits", "--protocol", "xview", "--store", store, "--fraction", 0.5),
        ("verify", store),
        ("info", store),
        ("show", store, clip),
        ("show", store, clip, "--html", tmp_path / "clip.html"),
        ("report", store, "--out", tmp_path / "report.html"),
        ("export", "npz", "--store", store, "--protocol", "xsub", "--out", tmp_path / "x.npz"),
        ("import", "npz", tmp_path / "x.npz", "--protocol", "xsub", "--out", tmp_path / "i.zarr"),
        ("train", "pretrain", "--recipe", "list"),
    ):
        outcome = run(*arguments, "--json")
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out), arguments
    assert json.loads(run("doctor", "--json").out)["findings"]


def test_json__of_the_demo(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    result = EvaluationResult(
        kind="linear", epochs=1, clips=2, last_top1=50.0, last_top5=50.0, best_top1=50.0, best_epoch=1, seconds=1.0
    )
    monkeypatch.setattr(demo, "make_demo_store", lambda folder, progress: folder)
    monkeypatch.setattr(demo, "train_demo", lambda folder, store, progress: (result, result))
    document = json.loads(run("demo", "--json").out)
    assert document["folder"] is None
    assert document["untrained"]["last_top1"] == 50.0


def follow(run: Run, outcome: Outcome, *more: str) -> Outcome:
    """Run the command that another one printed as the next."""
    line = next(line for line in outcome.out.splitlines() if line.startswith("next: mampctl "))
    after = run(*shlex.split(line)[2:], *more)
    assert after.code == 0, after.err
    return after


def test_next__leads_from_synthetic_files_to_a_number(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each printed command is run as it stands; a training is only made shorter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMPCTL_DATA", str(tmp_path / "my data"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    smaller = ("schedule.epochs=1", "schedule.warmup_epochs=0", "batch_size=4", "model.frames=16")
    smaller += ("model.width=16", "model.depth=1", "model.heads=2")
    short = tuple(word for setting in smaller for word in ("--set", setting))
    made = run("synth", "ntu60", "--clips", "8", "--classes", "2", "--out", tmp_path / "raw files.zip")
    divided = follow(run, follow(run, made, "--workers", "0"))
    assert "train pretrain --recipe nwucla-small --set dataset=ntu60 --set protocol=xsub" in divided.out
    number = follow(run, follow(run, divided, *short), *short)
    assert "top-1" in follow(run, number).out


def test_next__of_a_store_is_what_it_lacks(run: Run, store: Path) -> None:
    assert "next: mampctl train pretrain --recipe " in run("verify", store).out
    store.with_name("ntu60.xsub.json").unlink()
    assert "next: mampctl build-splits --protocol xsub" in run("info", store).out


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "STORE"),
        ("export", "npz", "--store", "STORE", "--protocol", "xsub", "--out", "OUT"),
        ("export", "h5", "--store", "STORE", "--protocol", "xsub", "--out", "OUT"),
        ("report", "STORE", "--out", "OUT"),
        ("synth", "ntu60", "--clips", "9", "--out", "OUT"),
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_interrupt__is_one_line_and_leaves_nothing(store: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    places = {"STORE": str(store), "OUT": str(folder / "x")}
    words = [places.get(word, word) for word in arguments]
    with subprocess.Popen([sys.executable, "-c", SLOW, *words], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "working" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        log_lines = [line for line in process.stderr.read().splitlines() if '"end"' not in line]
    assert process.returncode == 130
    assert [json.loads(line)["text"].partition(":")[0] for line in log_lines] == ["interrupted"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        "verify STORE",
        "report STORE --out OUT/x",
        "export npz --store STORE --protocol xsub --out OUT/x",
        "export h5 --store STORE --protocol xsub --out OUT/x",
        "export pyskl --store STORE --out OUT/x",
        "import pyskl FILE --dataset ntu60 --out OUT/x",
        "synth ntu60 --clips 9 --out OUT/x",
        "knn --recipe ntu60-demo --store STORE --device cpu",
        "embed --recipe ntu60-demo --store STORE --device cpu --out OUT/x.npz",
        "train pretrain --recipe ntu60-demo --set batch_size=4 --store STORE --device cpu --out OUT/run",
    ],
    ids=lambda words: "-".join(words.split()[:2]),
)
def test_sigterm__ends_every_long_command_alike(
    run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """Exit code 75, one line that says how to go on, nothing under the final name."""
    file, folder = tmp_path / "x.pkl", tmp_path / "out"
    assert run("export", "pyskl", "--store", store, "--out", file).code == 0
    folder.mkdir()
    monkeypatch.setattr(JsonProgress, "start", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    places = {"STORE": str(store), "FILE": str(file), "OUT": str(folder)}
    outcome = run(*(re.sub("STORE|FILE|OUT", lambda found: places[found[0]], word) for word in words.split()))
    assert outcome.code == 75, outcome.err
    messages = [json.loads(line)["text"] for line in outcome.err.splitlines() if "interrupted" in line]
    assert len(messages) == 1
    assert "run the same command again" in messages[0]
    assert ("a training with --resume" in messages[0]) == words.startswith(("train", "knn", "embed"))
    assert {path.name for path in folder.iterdir()} <= {"run", "x.staging"}


DEAF = """
import os, signal, sys, time
import mamp_pipeline.store.verify, mamp_schemas.io.store_reader

number = int(sys.argv.pop())

class Deaf:
    def __del__(self):
        os.kill(os.getpid(), number)
        time.sleep(0.01)

def work(store, progress):
    Deaf()
    time.sleep(600)

mamp_schemas.io.store_reader.open_store = lambda store, **options: store
mamp_pipeline.store.verify.verify_store = work
from mampctl.runtime.main import main
main()
"""
"""The command line at a place where Python can raise nothing: in a destructor, as in callbacks of compiled code."""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_interrupt__is_heard_where_its_exception_is_swallowed(number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-c", DEAF, "verify", "any.zarr", str(int(number))]
    process = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert process.returncode == code, process.stderr
    assert [json.loads(line)["text"].partition(":")[0] for line in process.stderr.splitlines()] == ["interrupted"]


@pytest.mark.parametrize("length", [250, 5_000])
@pytest.mark.parametrize(
    "command",
    [
        ("ingest", "ntu60", "--raw", RAW, "--workers", 0, "--out"),
        ("import", "npz", "nowhere.npz", "--protocol", "xsub", "--out"),
        ("import", "h5", "--protocol", "xsub", "--out", "s.zarr"),
        ("train", "linear", "--store", "nowhere.zarr", "--out", "run", "--from"),
        ("build-splits", "--protocol", "xsub", "--store"),
        ("evaluate",),
        ("verify",),
        ("report", "nowhere.zarr", "--out"),
        ("synth", "ntu60", "--clips", 1, "--out"),
        ("runs", "show"),
        ("predict", "run"),
    ],
    ids=lambda command: " ".join(map(str, command[:2])),
)
def test_run_app__a_path_too_long(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[object, ...], length: int
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run(*command, "a" * length)
    assert outcome.code in (1, 2) or (command[0] == "synth" and length == 250)
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == [] or outcome.code == 0


def test_run_app__an_error_of_the_operating_system_names_the_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(tmp_path / "s.zarr"))

    monkeypatch.setattr(store_reader, "open_store", refuse)
    outcome = run("info", tmp_path / "s.zarr")
    assert outcome.code == 1
    assert f"{tmp_path / 's.zarr'}: cannot be used: Input/output error" in outcome.err
