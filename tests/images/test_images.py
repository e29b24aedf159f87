"""Content and behaviour of the built images. `make images` builds them, `make test-images` runs this."""

import json
from pathlib import Path

import pytest

from tests.images.engine import inspect, megabytes, run

pytestmark = pytest.mark.images

PIPELINE, TRAINER = "mampctl-pipeline:latest", "mampctl-trainer:latest"
MEGABYTES = 700
"""The largest allowed size of the pipeline's image, with its base."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder that any user may write to."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.mark.parametrize("image", [PIPELINE, TRAINER])
def test_image__is_the_command_under_a_user_of_its_own(image: str) -> None:
    config = inspect(image)
    assert config["Entrypoint"] == ["mampctl"]
    assert config["User"] == "10001"
    assert config["Labels"]["org.opencontainers.image.title"] == image.partition(":")[0]
    assert not [value for value in config["Env"] if value.startswith("PIP_")]


@pytest.mark.parametrize("image", [PIPELINE, TRAINER])
def test_image__holds_neither_pip_nor_development_tools(image: str) -> None:
    code = "import importlib.util as u; print([n for n in ('pip', 'pytest', 'mypy', 'moto') if u.find_spec(n)])"
    assert run(image, "python", "-c", code).out.strip() == "[]"


@pytest.mark.parametrize(("image", "package"), [(PIPELINE, "torch"), (TRAINER, "dask"), (TRAINER, "distributed")])
def test_image__lacks_the_other_half(image: str, package: str) -> None:
    outcome = run(image, "python", "-c", f"import mampctl.runtime.app, {package}")
    assert outcome.code == 1
    assert f"No module named '{package}'" in outcome.err


def test_pipeline_image__is_small() -> None:
    assert megabytes(PIPELINE) < MEGABYTES


def test_images__make_a_store_in_one_and_train_on_it_in_the_other(data: Path) -> None:
    steps = [
        "synth ntu60 --clips 60 --subjects 4 --out /data/raw.zip",
        "ingest ntu60 --raw /data/raw.zip --workers 2",
        "build-splits --protocol xsub",
        "verify /data/ntu60.zarr",
        "report /data/ntu60.zarr --out /data/report.html",
        "show /data/ntu60.zarr S001C001P001R001A001 --png /data/clip.png --gif /data/clip.gif",
    ]
    for step in steps:
        outcome = run(PIPELINE, "mampctl", *step.split(), data=data)
        assert outcome.code == 0, outcome.err
    training = "train pretrain --recipe ntu60-demo --set schedule.epochs=2 --json"
    trained = run(TRAINER, "mampctl", *training.split(), data=data)
    assert trained.code == 0, trained.err
    assert json.loads(trained.out)["epochs"] == 2
    assert (data / "runs" / "pretrain-ntu60-demo" / "run.json").is_file()


def test_pipeline_image__demo_ends_at_the_store() -> None:
    outcome = run(PIPELINE, "mampctl", "demo")
    assert outcome.code == 0, outcome.err
    assert "pre-training and linear evaluation were left out" in outcome.out


def test_trainer_image__demo_does_all_of_it() -> None:
    outcome = run(TRAINER, "mampctl", "demo")
    assert outcome.code == 0, outcome.err
    assert "pre-trained by MAMP" in outcome.out
