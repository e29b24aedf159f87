"""Both batch files on a local SLURM of two nodes. `make test-slurm` runs this."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from mamp_pipeline.synth.ntu import synthesise
from tests.paths import TESTS
from tests.pipeline.victims import SMALL, Victim
from tests.slurm.cluster import Slurm, missing, running
from tests.trainer.runs import assert_same_run, pretrain_recipe, write_toy_store

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(bool(missing()), reason=missing())]

FILES = TESTS.parent / "docker" / "slurm"
FEW = ("--nodes=2", "--cpus-per-task=1")
WORKERS = (*FEW, "--ntasks-per-node=1")
RANKS = (*FEW, "--ntasks-per-node=2", "--mem=1G")
TOO_LONG = "schedule.epochs=100000"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with running(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("raw") / "raw.zip"
    synthesise("ntu60", archive, clips=360, classes=10, setups=4, subjects=10, seed=3)
    return archive


@pytest.fixture(scope="module")
def content_hash(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    """The content hash of an undisturbed local ingest."""
    local = Victim(raw, tmp_path_factory.mktemp("local") / "ntu60.zarr", "--workers", 2)
    try:
        return local.finish()["content_hash"]
    finally:
        local.close()


@pytest.fixture
def ingest(raw: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of `ingest.sbatch`: the `mampctl` on its path makes many small parts."""
    command = tmp_path / "bin" / "mampctl"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\n{SMALL}")
    command.chmod(0o755)
    settings = {"SHARED": str(tmp_path), "DATASET": "ntu60", "RAW": str(raw)}
    return settings | environment(str(command.parent))


@pytest.fixture
def pretrain(tmp_path: Path) -> dict[str, str]:
    """The environment of `pretrain.sbatch`: a toy store and a tiny recipe."""
    store, recipe = write_toy_store(tmp_path), tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(pretrain_recipe(batch_size=4).model_dump(mode="json")))
    settings = {"SHARED": str(tmp_path), "STORE": str(store), "RECIPE": str(recipe), "RUN": str(tmp_path / "run")}
    return settings | environment()


def environment(*folders: str) -> dict[str, str]:
    path = os.pathsep.join([*folders, str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": path, "OMP_NUM_THREADS": "1"}


def wait_for_file(pattern: str, folder: Path, slurm: Slurm, job: str) -> None:
    """Wait until a running job has written a file that matches a pattern."""
    fields = slurm.wait(job, lambda fields: fields["JobState"] == "FAILED" or any(folder.glob(pattern)), seconds=60)
    assert fields["JobState"] == "RUNNING", slurm.log(job)


def workers(job: str) -> list[psutil.Process]:
    """Return the workers of a job's Dask cluster on all nodes."""
    processes = []
    for process in psutil.process_iter(["cmdline"]):
        if {"worker", "--no-nanny"} <= set(process.info["cmdline"] or ()) and "srun" not in process.info["cmdline"][0]:
            processes += [process] if process.environ().get("SLURM_JOB_ID") == job else []
    return processes


def test_ingest__after_sigterm_is_requeued_and_continues(
    slurm: Slurm, ingest: dict[str, str], content_hash: object, tmp_path: Path
) -> None:
    job = slurm.submit(FILES / "ingest.sbatch", *WORKERS, environment=ingest)
    wait_for_file("ntu60.zarr.staging/part-*", tmp_path, slurm, job)
    # As --signal does shortly before the end of the time.
    slurm.call("scancel", "--batch", "--signal=TERM", job)
    end = slurm.finish(job)
    assert (end["JobState"], end["ExitCode"], end["Restarts"]) == ("COMPLETED", "0:0", "1"), slurm.log(job)
    assert json.loads((tmp_path / "ntu60.zarr" / "zarr.json").read_text())["attributes"]["content_hash"] == content_hash


def test_ingest__continues_without_a_worker(
    slurm: Slurm, ingest: dict[str, str], content_hash: object, tmp_path: Path
) -> None:
    job = slurm.submit(FILES / "ingest.sbatch", *WORKERS, environment=ingest)
    wait_for_file("ntu60.zarr.staging/part-*", tmp_path, slurm, job)
    lost, _ = workers(job)
    lost.kill()
    end = slurm.finish(job)
    assert (end["JobState"], end["ExitCode"], end["Restarts"]) == ("COMPLETED", "0:0", "0"), slurm.log(job)
    assert json.loads((tmp_path / "ntu60.zarr" / "zarr.json").read_text())["attributes"]["content_hash"] == content_hash


def test_pretrain__out_of_time_is_requeued_and_ends_with_the_same_weights(
    slurm: Slurm, pretrain: dict[str, str], tmp_path: Path
) -> None:
    """Two nodes of two ranks. SLURM checks the time left every 30 s, so training has to take longer than that."""
    longer = ("--set", "schedule.epochs=400", "--device", "cpu")
    whole = pretrain | {"RUN": str(tmp_path / "whole")}
    undisturbed = slurm.submit(FILES / "pretrain.sbatch", *RANKS, "--", *longer, environment=whole)
    assert slurm.finish(undisturbed)["ExitCode"] == "0:0", slurm.log(undisturbed)
    job = slurm.submit(FILES / "pretrain.sbatch", *RANKS, "--", *longer, environment=pretrain)
    wait_for_file("run/metrics.jsonl", tmp_path, slurm, job)
    slurm.call("scontrol", "update", f"JobId={job}", "TimeLimit=2")
    slurm.wait(job, lambda fields: fields["Restarts"] == "1", seconds=90)
    slurm.call("scontrol", "update", f"JobId={job}", "TimeLimit=60")
    end = slurm.finish(job)
    assert (end["JobState"], end["ExitCode"], end["Restarts"]) == ("COMPLETED", "0:0", "1"), slurm.log(job)
    assert "interrupted by SIGTERM after step" in slurm.log(job)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("name", ["ingest", "pretrain"])
def test_scancel__ends_a_running_job(slurm: Slurm, request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    settings = request.getfixturevalue(name)
    what = {"ingest": (*WORKERS, "--"), "pretrain": (*RANKS, "--", "--device", "cpu", "--set", TOO_LONG)}[name]
    job = slurm.submit(FILES / f"{name}.sbatch", *what, environment=settings)
    wait_for_file({"ingest": "ntu60.zarr.staging/part-*", "pretrain": "run/metrics.jsonl"}[name], tmp_path, slurm, job)
    slurm.call("scancel", job)
    assert slurm.finish(job)["JobState"] == "CANCELLED", slurm.log(job)
    time.sleep(2)
    assert (slurm.look(job)["JobState"], slurm.look(job)["Restarts"]) == ("CANCELLED", "0")


@pytest.mark.parametrize(("name", "what"), [("ingest", WORKERS), ("pretrain", RANKS)])
def test_wrong_option__fails_once(
    slurm: Slurm, request: pytest.FixtureRequest, name: str, what: tuple[str, ...]
) -> None:
    settings = request.getfixturevalue(name)
    end = slurm.finish(slurm.submit(FILES / f"{name}.sbatch", *what, "--", "--nonsense", environment=settings))
    assert (end["JobState"], end["ExitCode"], end["Restarts"]) == ("FAILED", "2:0", "0")
