"""Batch manners: any user, nothing written elsewhere, JSON lines, no secrets, a soon end, the same command twice."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import yaml

from mamp_pipeline.synth.ntu import synthesise
from tests.cli.conftest import Run
from tests.cli.processes import wait_for_metrics
from tests.paths import GOLDEN
from tests.pipeline.victims import Victim
from tests.s3_server import KEY_ID, SECRET, Bucket
from tests.trainer.runs import assert_same_run, linear_recipe, pretrain_recipe, write_toy_store
from tests.users import as_user, needs_root, own_folder, shared_folder
from tests.waiting import HANG_SECONDS, assert_gone, finish

RAW = GOLDEN / "ntu60" / "raw.zip"
CLIP = "S001C001P008R002A042"
USER = 12_345


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def mampctl(
    *words: object, before: Sequence[str] = (), environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command as a process of its own."""
    line = [*before, sys.executable, "-m", "mampctl", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", **(environment or {})}
    return subprocess.run(line, capture_output=True, text=True, env=environment, cwd=folder, timeout=HANG_SECONDS)


def write_recipe(path: Path, residency: str = "auto") -> Path:
    path.write_text(yaml.safe_dump(pretrain_recipe(residency=residency).model_dump(mode="json")))
    return path


def named_lines(process: "subprocess.CompletedProcess[str]", run_id: str) -> list[dict[str, object]]:
    """Return what a process wrote to standard error: JSON lines, each with the name of the run."""
    lines = [json.loads(line) for line in process.stderr.splitlines()]
    assert {line["run_id"] for line in lines} <= {run_id}, process.stderr
    return lines


def list_tree(folder: Path) -> dict[str, int]:
    """Return all that is below a folder, with the times of the last change."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


@needs_root
@pytest.mark.soak
def test_chain__of_a_user_without_a_name_writes_only_where_it_is_told() -> None:
    """Home and working directory may be written to, and stay empty; no user of that number is known."""
    with shared_folder() as base:
        home, out, scratch = (own_folder(base / name, USER) for name in ("home", "out", "scratch"))
        raw, recipe = base / "raw.zip", write_recipe(base / "tiny.yaml")
        raw.write_bytes(RAW.read_bytes())
        before = list_tree(base)
        environment = {"HOME": str(home), "TMPDIR": str(scratch), "MAMPCTL_RUN_ID": "job-7"}
        environment |= {"NUMBA_CACHE_DIR": str(scratch), "OMP_NUM_THREADS": "1"}
        store = out / "ntu60.zarr"
        for words in (
            ("ingest", "ntu60", "--raw", raw, "--out", store, "--workers", 2),
            ("build-splits", "--protocol", "xsub", "--store", store),
            ("train", "pretrain", "--recipe", recipe, "--store", store, "--out", out / "run", "--device", "cpu"),
            ("show", store, CLIP, "--png", out / "clip.png"),
        ):
            process = mampctl(*words, before=as_user(USER), environment=environment, folder=home)
            assert process.returncode == 0, process.stderr
            assert all(line["event"] != "log" for line in named_lines(process, "job-7")), process.stderr
        assert json.loads((out / "run" / "run.json").read_text())["run_id"] == "job-7"
        after = {name: time for name, time in list_tree(base).items() if name.split("/")[0] not in ("out", "scratch")}
        assert after == {name: time for name, time in before.items() if name not in ("out", "scratch")}
        assert (out / "run" / "run.json").stat().st_uid == USER


def test_logs__every_line_of_the_chain_is_json_and_has_the_run_id(run: Run, tmp_path: Path) -> None:
    raw, recipe, store = tmp_path / "raw.zip", write_recipe(tmp_path / "tiny.yaml"), tmp_path / "ntu60.zarr"
    raw.write_bytes(RAW.read_bytes())
    for words, code in (
        (("ingest", "ntu60", "--raw", raw, "--out", store, "--workers", 0), 0),
        (("build-splits", "--protocol", "xsub", "--store", store, "--fraction", 0.1), 0),
        (("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "run"), 0),
        (("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "run"), 1),
    ):
        outcome = run(*words, "--run-id", "night:3")
        assert outcome.code == code, outcome.err
        lines = [json.loads(line) for line in outcome.err.splitlines()]
        assert {line["run_id"] for line in lines} == {"night:3"}
    assert lines[-1]["event"] == "error"
    assert "--resume" in lines[-1]["remedy"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ingest",), "Missing argument 'dataset'"),
        (("ingest", "ntu60", "--workers", "many"), "Invalid value for '--workers'"),
        (("verify", "any.zarr", "--loud"), "No such option: --loud"),
        (("verfy",), "No such command 'verfy'"),
        (("verify", "any.zarr", "--run-id"), "Option '--run-id' requires an argument"),
    ],
    ids=lambda words: "-".join(words) if isinstance(words, tuple) else None,
)
def test_logs__a_command_line_that_does_not_parse_is_one_event(run: Run, words: tuple[str, ...], message: str) -> None:
    outcome = run(*words)
    (line,) = [json.loads(line) for line in outcome.err.splitlines()]
    assert (outcome.code, line["event"]) == (2, "error")
    assert line["text"].startswith(message)
    assert "--help" in line["remedy"]


def test_logs__warnings_and_crashes_are_json_lines() -> None:
    code = (
        "import threading, warnings, logging, mamp_schemas.io.store_reader as read\n"
        "from mampctl.runtime.main import main\n"
        "def run(store, **options):\n"
        " warnings.warn('old'); logging.getLogger('any').error('odd')\n"
        " thread = threading.Thread(target=logging.getLogger('any').error, args=('from a thread',))\n"
        " thread.start(); thread.join(); 1 / 0\n"
        "read.open_store = run; main()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, "verify", "any.zarr", "--run-id", "job-7"]
    process = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert process.returncode == 1
    *logs, crash = named_lines(process, "job-7")
    assert [line["event"] for line in logs] == ["log", "log", "log"]
    assert ("old" in str(logs[0]["text"]), logs[1]["text"], logs[2]["text"]) == (True, "odd", "from a thread")
    assert crash["event"] == "crash"
    assert str(crash["text"]).startswith("ZeroDivisionError")
    assert "in run" in str(crash["traceback"])


@pytest.mark.parametrize("log", ["/dev/full", "&-"], ids=["full disk", "closed"])
def test_logs__that_cannot_be_written_end_no_command(tmp_path: Path, log: str) -> None:
    out = tmp_path / "raw.zip"
    words = ("synth", "ntu60", "--clips", 2, "--classes", 2, "--out", out)
    process = mampctl(*words, before=("sh", "-c", f'exec "$@" 2>{log}', "sh"))
    assert process.returncode == 0
    assert out.exists()
    assert mampctl("verify", tmp_path / "none", before=("sh", "-c", f'exec "$@" 2>{log}', "sh")).returncode == 1


def test_run_id__is_made_where_none_is_given_and_refused_where_it_is_none(run: Run, tmp_path: Path) -> None:
    lines = [json.loads(run("verify", tmp_path / "none").err) for _ in range(2)]
    assert all(line["run_id"] for line in lines)
    assert lines[0]["run_id"] != lines[1]["run_id"]
    assert run("verify", tmp_path / "none", "--run-id", "two words").code == 2


def test_devices__share_the_id_of_the_run(tmp_path: Path) -> None:
    store, recipe = write_toy_store(tmp_path), write_recipe(tmp_path / "tiny.yaml")
    words = ("train", "pretrain", "--recipe", recipe, "--store", store, "--device", "cpu", "--out", tmp_path / "run")
    process = mampctl(*words, "--devices", 2, environment={"OMP_NUM_THREADS": "1"})
    assert process.returncode == 0, process.stderr
    run_id = json.loads((tmp_path / "run" / "run.json").read_text())["run_id"]
    assert named_lines(process, run_id)


@pytest.mark.parametrize("door", ["open", "closed"])
def test_train__tells_no_secret(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str) -> None:
    """Neither that of the key nor that in the endpoint's URL: not in what is printed, nor in the run's folder."""
    here, raw, store = tmp_path / "s.zarr", bucket.put("raw.zip", RAW), f"{bucket.url}/ntu60.zarr"
    address = bucket.server.endpoint.removeprefix("http://")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:pass-in-url@{address}")
    recipe = write_recipe(tmp_path / "tiny.yaml", "stream")
    errors, codes = "", []
    for words in (
        ("ingest", "ntu60", "--raw", raw, "--out", store, "--workers", 0),
        ("build-splits", "--protocol", "xsub", "--store", store),
        ("train", "pretrain", "--recipe", recipe, "--store", store, "--device", "cpu", "--out", tmp_path / "run"),
        ("doctor",),
    ):
        with bucket.server.closed() if door == "closed" else nullcontext():
            process = mampctl(*words, folder=tmp_path)
        codes.append(process.returncode)
        errors += process.stdout + process.stderr
    assert not here.exists()
    assert codes[:3] == ([0, 0, 0] if door == "open" else [1, 1, 1]), errors
    written = [path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert bool(written) == (codes[2] == 0)
    for secret in (SECRET, KEY_ID, "pass-in-url"):
        assert secret not in errors
        assert not any(secret.encode() in content for content in written)


def stop_command(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)


def stop_all(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGTERM)


@pytest.mark.parametrize("stop", [stop_command, stop_all], ids=["command", "all of its processes"])
@pytest.mark.parametrize("moment", ["starting", "working"])
def test_ingest__sigterm_ends_it_with_its_workers(
    tmp_path: Path, stop: Callable[["subprocess.Popen[str]"], None], moment: str
) -> None:
    """Exit code 75: run it again. Sent to the command alone, and, as batch systems do, to all of its processes."""
    synthesise("ntu60", tmp_path / "raw.zip", clips=120, classes=10, setups=4, subjects=10, seed=3)
    victim = Victim(tmp_path / "raw.zip", tmp_path / "ntu60.zarr", "--workers", 2)
    try:
        if moment == "working":
            victim.wait_for("part-*", 1)
        else:
            victim.wait_for_workers(1)
        workers = victim.workers()
        stop(victim.process)
        finish(victim.process)
        assert victim.process.returncode == 75, victim.stderr()
        assert_gone(workers)
        assert len(workers) == 2 or moment == "starting"
        lines = [json.loads(line) for line in victim.stderr().splitlines()]
        assert lines[-1]["text"].startswith("interrupted: run the same command again")
        assert {line["event"] for line in lines} <= {"message", "start", "progress", "end"}
    finally:
        victim.close()


def test_pretrain__under_timeout_again_and_again_ends_with_the_same_weights(run: Run, tmp_path: Path) -> None:
    """What `timeout` does to its job when it is told to end, or the time is up; then the job is queued again."""
    store, recipe = write_toy_store(tmp_path), tmp_path / "tiny.yaml"
    longer = pretrain_recipe().schedule.replaced(epochs=60)
    recipe.write_text(yaml.safe_dump(pretrain_recipe(schedule=longer).model_dump(mode="json")))
    words = ["train", "pretrain", "--recipe", str(recipe), "--store", str(store), "--device", "cpu"]
    words += ["--set", "model.frames=8", "--run-id", "job-1", "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert run(*words, tmp_path / "whole").code == 0
    for session in range(3):
        line = ["timeout", "--preserve-status", "600", sys.executable, "-m", "mampctl", *words, str(tmp_path / "cut")]
        waiting = subprocess.Popen([*line, "--resume"], stderr=subprocess.PIPE, text=True, env=environment)
        lines = (tmp_path / "cut" / "metrics.jsonl").read_text().count("\n") if session else 0
        wait_for_metrics(tmp_path / "cut", waiting, lines + 10)
        waiting.send_signal(signal.SIGTERM)
        _, errors = finish(waiting)
        assert waiting.returncode == 75, errors
    assert run(*words, tmp_path / "cut", "--resume").code == 0
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    assert json.loads((tmp_path / "cut" / "run.json").read_text())["sessions"] == 4


def test_commands__run_again_do_nothing_or_refuse_clearly(run: Run, tmp_path: Path) -> None:
    recipe, probe, store = write_recipe(tmp_path / "tiny.yaml"), tmp_path / "probe.yaml", tmp_path / "ntu60.zarr"
    probe.write_text(yaml.safe_dump(linear_recipe().model_dump(mode="json")))
    where, train = ("--store", store), ("--device", "cpu", "--resume", "--store", store)
    for words in (
        ("ingest", "ntu60", "--raw", RAW, "--out", store, "--workers", 0),
        ("build-splits", "--protocol", "xsub", *where),
        ("build-splits", "--protocol", "xsub", "--fraction", "0.5", *where),
        ("train", "pretrain", "--recipe", recipe, "--out", tmp_path / "run", *train),
        ("train", "linear", "--recipe", probe, "--from", tmp_path / "run", "--out", tmp_path / "probe", *train),
        ("export", "npz", "--protocol", "xsub", "--out", tmp_path / "x.npz", *where),
        ("report", store, "--out", tmp_path / "report.html"),
    ):
        first = run(*words)
        assert first.code == 0, first.err
        content = {name: (tmp_path / name).read_bytes() for name in list_tree(tmp_path) if (tmp_path / name).is_file()}
        again = run(*words)
        if words[0] == "export":  # a finished file is never overwritten
            assert again.code == 1
            assert "already exists" in json.loads(again.err.splitlines()[-1])["text"]
        else:
            assert again.code == 0, again.err
        kept = {name: (tmp_path / name).read_bytes() for name in content if not name.endswith(".html")}
        changed = [name for name, before in kept.items() if content[name] != before]
        assert not changed, words
