"""`mampctl train` in several processes: the numbers of one process, one error message, no orphans."""

import json
import shutil
import signal
import socket
import subprocess
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import torch
import typer
import yaml

from mamp_trainer.distributed.launch import RendezvousStore
from mampctl.runtime.distributed import distributed_run
from tests.cli.conftest import Run
from tests.cli.processes import start, wait_for_metrics
from tests.trainer.runs import last_checkpoint, linear_recipe, pretrain_recipe, read_metrics, write_toy_store
from tests.waiting import HANG_SECONDS, assert_gone, finish, wait_until


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Arguments that pre-train on two processes, up to the run's folder."""
    store, recipe = write_toy_store(tmp_path), tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(pretrain_recipe().model_dump(mode="json")))
    return ["train", "pretrain", "--recipe", str(recipe), "--store", str(store), "--device", "cpu", "--out"]


def assert_near(one: Path, other: Path) -> None:
    """Every line of metrics tells the same, but for float32 sums in another order."""
    first, second = read_metrics(one), read_metrics(other)
    assert [line.keys() for line in first] == [line.keys() for line in second]
    assert len(first) > 3
    for expected, found in zip(first, second, strict=True):
        numbers = {name: value for name, value in expected.items() if isinstance(value, int | float)}
        assert {name: found[name] for name in numbers} == pytest.approx(numbers, rel=1e-4)


def events(err: str, kind: str) -> int:
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    return sum(line["event"] == kind for line in lines)


def test_pretrain__devices_give_the_numbers_of_one(run: Run, arguments: list[str], tmp_path: Path) -> None:
    process = start(*arguments, str(tmp_path / "two"), "--devices", "2", "--json")
    out, err = finish(process)
    assert process.returncode == 0, err
    assert json.loads(out)["steps"] == 39
    assert events(err, "start") == events(err, "end") == 1
    assert run(*arguments, tmp_path / "one").code == 0
    assert_near(tmp_path / "one", tmp_path / "two")
    assert json.loads((tmp_path / "two" / "run.json").read_text())["device"].startswith("2 × cpu")


def test_linear__under_torchrun(run: Run, arguments: list[str], tmp_path: Path) -> None:
    probe = tmp_path / "probe.yaml"
    probe.write_text(yaml.safe_dump(linear_recipe().model_dump(mode="json")))
    linear = ["train", "linear", "--recipe", str(probe), *arguments[4:]]
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mampctl")
    process = start(*linear, str(tmp_path / "two"), "--json", before=torchrun)
    out, err = finish(process)
    assert process.returncode == 0, err
    alone = run(*linear, tmp_path / "one", "--json")
    two, one = json.loads(out), json.loads(alone.out)
    assert {**two, "seconds": 0} == {**one, "seconds": 0}
    assert_near(tmp_path / "one", tmp_path / "two")


def test_pretrain__under_srun(arguments: list[str], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    step = {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NODEID": "0",
        "MASTER_PORT": str(port),
    }
    rank_envs = [step | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank} for rank in "01"]
    tasks = [start(*arguments, str(tmp_path / "run"), "--json", environment=rank_env) for rank_env in rank_envs]
    (first, _), (second, _) = (finish(task) for task in tasks)
    assert [task.returncode for task in tasks] == [0, 0]
    assert (json.loads(first)["steps"], second) == (39, "")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["device"].startswith("2 × cpu")


def test_pretrain__a_rendezvous_port_in_use_is_reported(arguments: list[str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(taken.getsockname()[1])}
        rank_env = address | {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
        process = start(*arguments, str(tmp_path / "run"), environment=rank_env)
        _, err = finish(process)
    assert process.returncode == 1
    assert "cannot host the rendezvous store" in err
    assert "Set MASTER_PORT" in err


def test_pretrain__sigterm_ends_a_rank_that_waits_for_the_first(arguments: list[str], tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(HANG_SECONDS)
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(silent.getsockname()[1])}
        rank_env = address | {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
        process = start(*arguments, str(tmp_path / "run"), environment=rank_env)
        with silent.accept()[0]:
            assert_stops(process)


def test_pretrain__sigterm_ends_a_first_rank_that_waits_for_the_others(arguments: list[str], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    rank_env = {
        "MASTER_ADDR": address[0],
        "MASTER_PORT": str(address[1]),
        "RANK": "0",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "2",
    }
    process = start(*arguments, str(tmp_path / "run"), environment=rank_env)
    with socket.socket() as caller:
        wait_until(lambda: caller.connect_ex(address) == 0 or process.poll() is not None, "rank 0 hosts the store")
    store = RendezvousStore.connect(*address, timedelta(seconds=HANG_SECONDS), attempt=0)
    wait_until(lambda: store.is_ready(0), "rank 0 handles signals")
    assert_stops(process)


def assert_stops(process: "subprocess.Popen[str]") -> None:
    """Send SIGTERM; the process ends with 75, though the ranks that it waits for never come."""
    process.terminate()
    finish(process)
    assert process.returncode == 75


def test_pretrain__sigterm_stops_all_ranks_and_one_process_goes_on(
    run: Run, arguments: list[str], tmp_path: Path
) -> None:
    longer = ("--set", "schedule.epochs=15")
    process = start(*arguments, str(tmp_path / "cut"), *longer, "--devices", "2")
    wait_for_metrics(tmp_path / "cut", process, lines=4)
    process.send_signal(signal.SIGTERM)
    _, err = finish(process)
    assert process.returncode == 75, err
    assert err.count("interrupted by SIGTERM after step") == 1
    assert run(*arguments, tmp_path / "cut", *longer, "--resume").code == 0
    assert last_checkpoint(tmp_path / "cut").step == 15 * 13


def test_pretrain__a_rank_that_is_killed_ends_the_run(arguments: list[str], tmp_path: Path) -> None:
    process = start(*arguments, str(tmp_path / "run"), "--devices", "2", "--set", "schedule.epochs=4000")
    wait_for_metrics(tmp_path / "run", process, lines=4)
    ranks = psutil.Process(process.pid).children()
    ranks[1].kill()
    _, err = finish(process)
    assert process.returncode == 1
    assert events(err, "error") == 1, err
    assert "rank 1 of 2 was ended by SIGKILL" in err
    assert not any(rank.is_running() for rank in ranks)


def test_pretrain__an_error_is_reported_once(arguments: list[str], tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "toy.zarr" / "joints" / "c" / "1")
    process = start(*arguments, str(tmp_path / "run"), "--devices", "2")
    _, err = finish(process)
    assert process.returncode == 1
    assert events(err, "error") == 1, err
    assert "toy.zarr" in err


def test_pretrain__ranks_end_with_a_launcher_that_is_killed(arguments: list[str], tmp_path: Path) -> None:
    process = start(*arguments, str(tmp_path / "run"), "--devices", "2", "--set", "schedule.epochs=4000")
    wait_for_metrics(tmp_path / "run", process, lines=1)
    ranks = psutil.Process(process.pid).children()
    assert len(ranks) == 2
    process.kill()
    finish(process)
    assert_gone(ranks)


def test_pretrain__ranks_end_with_a_launcher_that_is_killed_while_they_start(
    arguments: list[str], tmp_path: Path
) -> None:
    process = start(*arguments, str(tmp_path / "run"), "--devices", "2", "--set", "schedule.epochs=4000")
    launcher = psutil.Process(process.pid)
    wait_until(lambda: process.poll() is not None or len(launcher.children()) == 2, "two ranks")
    ranks = launcher.children()
    process.kill()
    finish(process)
    assert_gone(ranks)


def test_pretrain__a_wrong_command_line_is_reported_once(arguments: list[str], tmp_path: Path) -> None:
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mampctl")
    process = start(*arguments, str(tmp_path / "run"), "--devices", "3", before=torchrun)
    _, err = finish(process)
    assert process.returncode == 1
    assert err.count("--devices 3, but 2 ranks have been started") == events(err, "error") == 1


def test_pretrain__more_devices_than_gpus_are_rejected(run: Run, arguments: list[str], tmp_path: Path) -> None:
    command = [*arguments[:-3], "--device", "cuda", "--devices", "99", "--out", tmp_path / "run"]
    outcome = run(*command)
    assert outcome.code == 1
    assert "torch" in outcome.err
    assert "sees" in outcome.err


def test_distributed_run__a_second_ctrl_c_says_how_a_training_continues(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stop, distributed_run(lambda: None, "cpu", None):
        raise KeyboardInterrupt("SIGINT")
    assert stop.value.exit_code == 130
    assert "run the same command again, a training with --resume" in capsys.readouterr().err
