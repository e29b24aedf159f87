"""docker/compose.yaml works as docs/containers.md says; `make images` builds, and `make test-images` runs this."""

import json
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import moto
import pytest
import yaml

from tests.images.engine import STRANGER, Outcome
from tests.images.project import Project, call_engine, find_compose
from tests.images.test_images import PIPELINE

pytestmark = pytest.mark.images

KEY_ID, SECRET = "mampctl-test-key-id", "secret-that-no-log-may-hold"
CLIPS = 2_000
"""Two workers parse these in some seconds: long enough to kill one of them."""
TRAINING = ("--recipe", "ntu60-demo", "--set", "schedule.epochs=2")
STAND_IN = Path(__file__).parent / "stand_in"


@dataclass(frozen=True)
class Place:
    """A running project, with its folders on this machine."""

    project: Project
    raw: Path
    data: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A healthy scheduler, two workers and a bucket; all are removed at the end."""
    if not find_compose():
        pytest.skip("neither Docker's compose nor podman with podman-compose is here")
    folder = tmp_path_factory.mktemp("compose")
    raw, data = folder / "raw", folder / "data"
    local("synth", "ntu60", "--clips", CLIPS, "--classes", 30, "--out", raw)
    data.mkdir()
    data.chmod(0o777)
    settings = {
        "RAW_FOLDER": raw,
        "DATA_FOLDER": data,
        "CONTAINER_USER": STRANGER,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    name = f"mampctl-test-{uuid.uuid4().hex[:8]}"
    project = Project.make(name, folder / "docker", settings, write_stand_in(folder / "bucket.yaml"))
    try:
        done = project.call("up", "--detach", "worker")
        assert done.code == 0, done.err
        project.wait_healthy("scheduler")
        project.wait_healthy("worker", 2)
        yield Place(project, raw, data)
    finally:
        project.call("down", "--volumes")
    assert not project.containers()
    assert name not in call_engine("network", "ls").out + call_engine("volume", "ls").out


def write_stand_in(path: Path) -> Path:
    """Write an override that replaces MinIO's image by the pipeline's image with the test environment's S3 server."""
    packages = Path(moto.__file__).parents[1]
    stand_in = {
        "image": PIPELINE,
        "volumes": [f"{STAND_IN}:/stand-in:ro", f"{packages}:/packages:ro"],
        "environment": {
            "PATH": "/stand-in:/opt/mampctl/bin:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": "/packages",
        },
    }
    path.write_text(yaml.safe_dump({"services": {"bucket": stand_in, "new-bucket": stand_in}}))
    return path


def local(*arguments: object) -> str:
    """Run a command on this machine and return its standard output."""
    command = [sys.executable, "-m", "mampctl", *map(str, arguments), "--quiet"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def succeed(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome.out + outcome.err
    assert_no_secret(outcome.out + outcome.err)
    return outcome.out


def assert_no_secret(text: str) -> None:
    assert KEY_ID not in text
    assert SECRET not in text


@pytest.fixture(scope="module")
def ingested(place: Place) -> Outcome:
    """The result of an ingest during which one worker was killed while it parsed."""
    job = place.project.start("ingest", "ntu60", "--json")
    job.wait_for("start", "parse")
    victim = place.project.containers("worker")[0]
    call_engine("exec", victim, "sh", "-c", "kill -KILL -1")
    assert not job.has_event("end", "parse"), "the parsing ended before the worker did"
    return job.end()


def test_ingest__a_store_like_that_of_a_local_run_though_a_worker_is_killed(
    place: Place, ingested: Outcome, tmp_path: Path
) -> None:
    metadata = json.loads(succeed(ingested))
    expected = json.loads(local("ingest", "ntu60", "--raw", place.raw, "--out", tmp_path / "ntu60.zarr", "--json"))
    assert metadata["content_hash"] == expected["content_hash"]
    assert "Remove worker addr" in place.project.logs()


def test_worker__starts_again_after_it_was_killed(place: Place, ingested: Outcome) -> None:
    place.project.wait_healthy("worker", 2)


def test_ingest__again_has_nothing_to_do(place: Place, ingested: Outcome) -> None:
    again = place.project.run("ingest", "ntu60", "--json")
    assert json.loads(succeed(again)) == json.loads(ingested.out)
    assert "nothing to do" in again.err


def test_pretrain__goes_on_after_a_stop(place: Place, ingested: Outcome) -> None:
    succeed(place.project.run("split", "--protocol", "xsub"))
    job = place.project.start("pretrain", *TRAINING)
    job.wait_for("start", "pretrain")
    (container,) = place.project.containers("pretrain")
    call_engine("stop", container)
    stopped = job.end()
    assert stopped.code == 75, stopped.err
    again = place.project.run("pretrain", *TRAINING, "--json")
    assert json.loads(succeed(again))["epochs"] == 2
    assert "going on after" in again.err


def test_dashboard__is_open_to_this_machine(place: Place) -> None:
    with urllib.request.urlopen("http://127.0.0.1:8787/health", timeout=10) as answer:
        assert answer.status == 200


def test_bucket__holds_the_store_that_the_jobs_make_and_train_on(place: Place, ingested: Outcome) -> None:
    store = "s3://mampctl/stores/ntu60.zarr"
    succeed(place.project.call("up", "--detach", "bucket"))
    place.project.wait_healthy("bucket")
    succeed(place.project.run("new-bucket"))
    made = json.loads(succeed(place.project.run("ingest", "ntu60", "--out", store, "--json")))
    assert made["content_hash"] == json.loads(ingested.out)["content_hash"]
    succeed(place.project.run("split", "--protocol", "xsub", "--store", store))
    run = "/data/runs/from-bucket"
    trained = place.project.run("pretrain", *TRAINING, "--store", store, "--out", run, "--json")
    assert json.loads(succeed(trained))["epochs"] == 2
    assert_no_secret(place.project.logs())
    for path in (path for path in place.data.rglob("*") if path.is_file()):
        assert_no_secret(path.read_bytes().decode("latin-1"))


def test_ingest__from_nothing_starts_scheduler_and_workers(place: Place, ingested: Outcome) -> None:
    succeed(place.project.call("down"))
    assert not place.project.containers("worker")
    out = succeed(place.project.run("ingest", "ntu60", "--out", "/data/again.zarr", "--json"))
    made = json.loads(out[out.index("{") :])  # podman-compose tells the ids of what it starts there, too
    assert made["content_hash"] == json.loads(ingested.out)["content_hash"]
