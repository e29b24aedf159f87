"""The pods of the Kubernetes files, run as containers that find each other by the names of the Services."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.images.engine import engine, run
from tests.images.pods import Cluster, Pod, cluster, document
from tests.trainer.runs import assert_same_run, last_checkpoint, pretrain_recipe, write_toy_store

PIPELINE, TRAINER = "mampctl-pipeline:latest", "mampctl-trainer:latest"
IMAGES = {"mampctl-pipeline": PIPELINE, "mampctl-trainer": TRAINER}
SECONDS = 240.0
HEALTH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).status)"


def without_networks() -> bool:
    try:
        return engine() == "buildah"
    except RuntimeError:
        return True


pytestmark = [
    pytest.mark.images,
    pytest.mark.skipif(without_networks(), reason="needs docker or podman: containers that find each other by name"),
]


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Cluster]:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o777)
    with cluster(data, IMAGES) as pods:
        yield pods


def start_training(pods: Cluster, out: str, *options: str) -> list[Pod]:
    """Start the Job's pods, one rank each, with a toy store, a tiny recipe and further options."""
    job = document("pretrain.yaml", "Job", "pretrain")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    paths = {"ntu120-xsub": "/data/tiny.yaml", "/data/ntu120.zarr": "/data/toy.zarr", "/data/runs/ntu120-xsub": out}
    assert set(paths) <= set(container["args"])
    arguments = [*(paths.get(word, word) for word in container["args"]), *options]
    return [
        pods.start(job, "pretrain", index=index, arguments=arguments, environment={"GPUS": "1"})
        for index in range(job["spec"]["completions"])
    ]


def wait_for_metrics(run: Path, lines: int, started: list[Pod]) -> None:
    deadline = time.monotonic() + SECONDS
    while not (run / "metrics.jsonl").exists() or (run / "metrics.jsonl").read_text().count("\n") < lines:
        logs = "\n".join(pod.logs() for pod in started) if time.monotonic() > deadline else ""
        assert time.monotonic() < deadline, logs
        time.sleep(0.05)


def end(started: list[Pod]) -> list[int]:
    """Return the exit codes of pods that end."""
    return [pod.wait() for pod in started]


@pytest.mark.parametrize("stopped", [0, 1])
def test_pretrain__sigterm_to_one_pod_stops_both_and_two_others_go_on(pods: Cluster, stopped: int) -> None:
    write_toy_store(pods.data)
    recipe = pretrain_recipe(schedule=pretrain_recipe().schedule.replaced(epochs=60))
    (pods.data / "tiny.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    undisturbed = start_training(pods, "/data/whole")
    assert end(undisturbed) == [0, 0], undisturbed[0].logs()
    first = start_training(pods, "/data/run")
    wait_for_metrics(pods.data / "run", 10, first)
    first[stopped].terminate()
    assert end(first) == [75, 75], first[0].logs()
    assert 0 < last_checkpoint(pods.data / "run").step < last_checkpoint(pods.data / "whole").step
    second = start_training(pods, "/data/run")
    assert end(second) == [0, 0], second[0].logs()
    assert_same_run(pods.data / "whole", pods.data / "run")


def test_pretrain__a_wrong_option_is_the_end_of_every_pod(pods: Cluster) -> None:
    """The exit code makes the Job fail without a retry."""
    started = start_training(pods, "/data/run", "--no-such-option")
    assert end(started) == [2, 2], started[0].logs()


def test_ingest__on_the_scheduler_and_workers_of_the_file(pods: Cluster) -> None:
    (pods.data / "raw").mkdir(mode=0o777)
    (pods.data / "raw").chmod(0o777)
    for step in (
        "synth ntu120 --clips 60 --subjects 4 --out /data/raw/clips",
        "ingest ntu120 --raw /data/raw/clips --out /data/local.zarr --workers 2",
    ):
        outcome = run(PIPELINE, "mampctl", *step.split(), data=pods.data)
        assert outcome.code == 0, outcome.err
    service = document("ingest.yaml", "Service", "scheduler")
    scheduler = document("ingest.yaml", "Deployment", "scheduler")
    job, name = document("ingest.yaml", "Job", "ingest"), service["metadata"]["name"]
    serving = pods.start(scheduler, "scheduler", alias=name)
    workers = [pods.start(document("ingest.yaml", "Deployment", "worker"), "worker", index=i) for i in range(2)]
    waiting = pods.start(job, "wait-for-workers")
    assert waiting.wait() == 0, waiting.logs()
    ingest = pods.start(job, "ingest")
    assert ingest.wait() == 0, ingest.logs()
    assert read_hash(pods.data / "ntu120.zarr") == read_hash(pods.data / "local.zarr")
    split = pods.start(document("split.yaml", "Job", "split"), "split")
    assert split.wait() == 0, split.logs()
    assert (pods.data / "ntu120.xsub.json").is_file()
    assert serving.running()
    assert all(worker.running() for worker in workers)
    (container,) = scheduler["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    probe = container["readinessProbe"]["httpGet"]
    assert serving.run("python", "-c", HEALTH, f"http://{name}:{ports[probe['port']]}{probe['path']}") == "200"


def read_hash(store: Path) -> str:
    return str(json.loads((store / "zarr.json").read_text())["attributes"]["content_hash"])
