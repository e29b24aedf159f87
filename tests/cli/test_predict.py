"""`mampctl predict`: what evaluation says of the same clips, faults that stop nothing, and what is refused."""

import gzip
import json
import signal
import zipfile
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from mamp_pipeline.datasets.clips import Clip, ClipInfo
from mamp_pipeline.datasets.io.source import RawSource
from mamp_pipeline.ingest.read_files import FileClips
from mamp_schemas.models.policy import PolicyName
from mamp_schemas.models.store import QuarantinedFile
from mamp_schemas.progress import NullProgress
from mamp_trainer.protocols.networks import load_classifier
from mamp_trainer.protocols.predictions import SCORES_FILE, ClipPredictions
from mampctl.commands.predict import BATCH_LINES, batches
from tests.cli.conftest import Outcome, Run
from tests.cli.processes import start
from tests.factories import random_ntu_text
from tests.paths import GOLDEN
from tests.pipeline.pku_cases import label_text, make_video, video_text, write_files
from tests.trainer.golden_model import to_released
from tests.trainer.runs import evaluate_encoder, linear_recipe

TOLERANCE = 1e-6
"""Of a probability: batches of another size round otherwise."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def train(run: Run, folder: Path, dataset: str, policy: PolicyName = "paper") -> Path:
    """Train a classifier on a golden dataset; return its run."""
    store, raw = folder / f"{dataset}.zarr", GOLDEN / dataset / "raw.zip"
    assert run("ingest", dataset, "--raw", raw, "--out", store, "--workers", 0, "--policy", policy).code == 0
    assert run("build-splits", "--protocol", "xsub", "--store", store).code == 0
    recipe = linear_recipe(dataset=dataset, schedule=linear_recipe().schedule.replaced(epochs=2))
    evaluate_encoder(recipe, store, folder / "run", device="cpu")
    return folder / "run"


@pytest.fixture
def trained(run: Run, tmp_path: Path) -> Path:
    return train(run, tmp_path, "ntu60")


def lines_of(outcome: Outcome) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outcome.out.splitlines()]


def write_clips(folder: Path, count: int) -> Path:
    """Write NTU-60 files of one body."""
    folder.mkdir()
    for number in range(count):
        name = f"S001C001P{1 + number // 60:03}R001A{1 + number % 60:03}.skeleton"
        (folder / name).write_bytes(random_ntu_text(number, frames=6))
    return folder


@pytest.mark.parametrize(
    ("dataset", "policy"), [("ntu60", "paper"), ("ntu60", "corrected"), ("ntu120", "paper"), ("pku1", "paper")]
)
def test_predict__raw_files_get_the_probabilities_of_the_evaluation(
    run: Run, tmp_path: Path, dataset: str, policy: PolicyName
) -> None:
    trained = train(run, tmp_path, dataset, policy)
    scores = ClipPredictions.read(trained / SCORES_FILE)
    outcome = run("predict", trained, GOLDEN / dataset / "raw.zip", "--top", 200, "--device", "cpu")
    predicted = {line["clip"]: line["predictions"] for line in lines_of(outcome) if "clip" in line}
    assert len(scores.clip) > 3
    for clip, expected in zip(scores.clip, scores.logits.softmax(dim=1).tolist(), strict=True):
        found = {prediction["label"]: prediction["probability"] for prediction in predicted[clip]}
        assert [found[label] for label in range(len(expected))] == pytest.approx(expected, abs=TOLERANCE)


def test_predict__every_file_has_its_line(run: Run, trained: Path) -> None:
    outcome = run("predict", trained, GOLDEN / "ntu60" / "raw.zip", "--device", "cpu")
    with zipfile.ZipFile(GOLDEN / "ntu60" / "raw.zip") as archive:
        names = {Path(name).name for name in archive.namelist() if name.endswith(".skeleton")}
    assert {Path(line["file"]).name for line in lines_of(outcome)} == names


def test_predict__top_names_the_most_probable_first(run: Run, trained: Path, tmp_path: Path) -> None:
    file = next(write_clips(tmp_path / "raw", 1).iterdir())
    outcome = run("predict", trained, file, "--top", 2, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    (line,) = lines_of(outcome)
    assert (line["clip"], line["file"]) == (file.stem, str(file))
    first, second = line["predictions"]
    assert first["probability"] >= second["probability"]
    assert isinstance(first["name"], str)


def test_predict__a_damaged_file_costs_its_line_only(run: Run, trained: Path, tmp_path: Path) -> None:
    folder = write_clips(tmp_path / "raw", 3)
    damaged = folder / "S001C001P001R001A002.skeleton"
    damaged.write_bytes(b"1\n1\nbroken\n")
    outcome = run("predict", trained, folder, "--device", "cpu")
    assert outcome.code == 1
    first, second, third = lines_of(outcome)
    assert (second["file"], second["line"]) == (str(damaged), 3)
    assert "expected 10" in second["error"]
    assert len(first["predictions"]) == len(third["predictions"]) == 5
    assert "1 files or labels gave no clip" in outcome.err


def test_predict__more_clips_than_a_batch(run: Run, trained: Path, tmp_path: Path) -> None:
    folder = write_clips(tmp_path / "raw", 2 * BATCH_LINES + 3)
    outcome = run("predict", trained, folder, "--device", "cpu")
    ids = [line["clip"] for line in lines_of(outcome)]
    assert ids == sorted(path.stem for path in folder.iterdir())


def test_gather__reads_no_further_than_a_batch() -> None:
    read: list[int] = []

    def files() -> Iterator[FileClips]:
        clip = Clip(np.zeros((1, 1, 25, 3), np.float32), 1)
        for number in range(10 * BATCH_LINES):
            read.append(number)
            source = RawSource(f"c{number}", Path("raw"), f"c{number}.skeleton", 1, None)
            yield FileClips(source, [(ClipInfo(source.id, 0), clip)])

    first = next(batches([], files(), NullProgress(), Counter()))
    assert len(first) == len(read) == BATCH_LINES


def test_gather__writes_faults_without_waiting_for_clips() -> None:
    read: list[int] = []

    def files() -> Iterator[FileClips]:
        for number in range(10 * BATCH_LINES):
            read.append(number)
            source = RawSource(f"c{number}", Path("raw"), f"c{number}.skeleton", 1, None)
            yield FileClips(source, [], [QuarantinedFile(file=source.portable_path, line=0, reason="damaged")])

    assert len(next(batches([], files(), NullProgress(), Counter()))) == len(read) == BATCH_LINES


def test_predict__interrupted_leaves_whole_lines(run: Run, trained: Path, tmp_path: Path) -> None:
    folder = write_clips(tmp_path / "raw", 20 * BATCH_LINES)
    with start("predict", str(trained), str(folder), "--device", "cpu") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        lines = [json.loads(line) for line in (first, *process.stdout)]
        err = process.stderr.read()
    assert process.returncode == 130, err
    assert len(lines) % BATCH_LINES == 0
    assert 0 < len(lines) < 20 * BATCH_LINES
    assert "Traceback" not in err


def test_predict__names_do_not_matter(run: Run, trained: Path, tmp_path: Path) -> None:
    folder = write_clips(tmp_path / "raw", 1)
    (file,) = folder.iterdir()
    names = ("S018C001P001R001A061.skeleton", "my take.skeleton", "UPPER.SKELETON", "a.skeleton.txt", "b (1).skeleton")
    for name in names:
        (folder / name).write_bytes(file.read_bytes())
    (folder / "c.skeleton.gz").write_bytes(gzip.compress(file.read_bytes()))
    (folder / "README.txt").write_text("no clip")
    (tmp_path / "named").write_bytes(file.read_bytes())
    outcome = run("predict", trained, folder, tmp_path / "named", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    lines = lines_of(outcome)
    assert sorted(Path(line["file"]).name for line in lines) == sorted([file.name, *names, "c.skeleton.gz", "named"])
    assert len({json.dumps(line["predictions"]) for line in lines}) == 1
    assert "1 other file does not look like raw files" in outcome.err


def test_predict__every_named_file_has_a_line(run: Run, trained: Path, tmp_path: Path) -> None:
    folder = write_clips(tmp_path / "raw", 1)
    (folder / "loop").symlink_to("loop")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("a.skeleton", b"")
    outcome = run("predict", trained, folder, tmp_path / "nowhere.skeleton", "--device", "cpu")
    assert outcome.code == 1
    errors = {Path(line["file"]).name: line["error"] for line in lines_of(outcome) if "error" in line}
    assert errors.keys() == {"loop", "more.zip", "nowhere.skeleton"}
    assert "leads back to itself" in errors["loop"]
    assert "give its own path" in errors["more.zip"]
    assert "no such folder or archive" in errors["nowhere.skeleton"]
    assert len(lines_of(outcome)) == 4


def test_predict__a_video_of_pku_needs_its_labels(run: Run, tmp_path: Path) -> None:
    trained = train(run, tmp_path, "pku1")
    raw = {"skeleton/0002-L.txt": video_text(make_video(40)), "label/0002-L.txt": label_text((3, 2, 30), (7, 30, 38))}
    folder = write_files(tmp_path / "raw", raw)
    alone = run("predict", trained, folder / "skeleton" / "0002-L.txt", "--device", "cpu")
    assert alone.code == 1
    assert "no label file of this video" in lines_of(alone)[0]["error"]
    both = run("predict", trained, folder / "skeleton", folder / "label" / "0002-L.txt", "--device", "cpu")
    assert both.code == 0, both.err
    assert [line["clip"] for line in lines_of(both)] == ["0002-L_0", "0002-L_1"]


def test_predict__a_released_file_needs_its_recipe(run: Run, trained: Path, tmp_path: Path) -> None:
    raw = write_clips(tmp_path / "raw", 2)
    recipe = linear_recipe()
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    torch.save({"model": to_released(load_classifier(trained, recipe).state_dict())}, tmp_path / "released.pth")
    arguments = ("predict", tmp_path / "released.pth", raw, "--device", "cpu")
    refused = run(*arguments)
    assert refused.code == 2
    assert "Name its linear recipe: --recipe" in refused.err
    released = run(*arguments, "--recipe", tmp_path / "tiny.yaml")
    assert lines_of(released) == lines_of(run("predict", trained, raw, "--device", "cpu"))


def test_predict__a_run_needs_no_recipe(run: Run, trained: Path, tmp_path: Path) -> None:
    outcome = run("predict", trained, tmp_path, "--recipe", "ntu60-xsub")
    assert outcome.code == 2
    assert "whose checkpoint holds the recipe" in outcome.err


def test_predict__a_run_needs_no_policy(run: Run, trained: Path, tmp_path: Path) -> None:
    outcome = run("predict", trained, tmp_path, "--policy", "corrected")
    assert outcome.code == 2
    assert "was trained on clips of the policy 'paper'" in outcome.err


def test_predict__nothing_there_to_read(run: Run, trained: Path, tmp_path: Path) -> None:
    outcome = run("predict", trained, tmp_path / "nowhere")
    assert outcome.code == 1
    assert "nowhere: no such folder or archive" in outcome.err
    assert outcome.out == ""


def test_predict__own_recordings_by_their_layout(run: Run, tmp_path: Path) -> None:
    layout = {
        "name": "Waves", "skeleton": "coco_17", "files": {"format": "npy", "order": "TVC"}, "units": "metres",
        "labels": "folder", "classes": ["sit", "wave"], "names": r"s(?P<subject>\d)_\d",
        "protocols": [{"name": "xsub", "column": "subject", "train": [1]}],
    }  # fmt: skip
    (tmp_path / "waves.yaml").write_text(yaml.safe_dump(layout))
    for number in range(8):
        file = tmp_path / "raw" / ("sit", "wave")[number % 2] / f"s{1 + number // 4}_{number}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, np.random.default_rng(number).normal(scale=0.3, size=(12, 17, 3)).astype(np.float32))
    store, layout = tmp_path / "custom.zarr", ("--layout", tmp_path / "waves.yaml")
    assert run("ingest", "custom", *layout, "--raw", tmp_path / "raw", "--out", store, "--workers", 0).code == 0
    assert run("build-splits", "--protocol", "xsub", "--store", store).code == 0
    recipe = linear_recipe(dataset="custom", model=linear_recipe().model.replaced(joints=17))
    evaluate_encoder(recipe, store, tmp_path / "run", device="cpu")
    outcome = run("predict", tmp_path / "run", tmp_path / "raw", *layout, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    predicted = {line["clip"]: [entry["probability"] for entry in sorted(line["predictions"], key=itemgetter("label"))]
            for line in lines_of(outcome)}  # fmt: skip
    scores = ClipPredictions.read(tmp_path / "run" / SCORES_FILE)
    for clip, expected in zip(scores.clip, scores.logits.softmax(dim=1).tolist(), strict=True):
        assert predicted[clip] == pytest.approx(expected, abs=TOLERANCE)
    assert {entry["name"] for line in lines_of(outcome) for entry in line["predictions"]} == {"sit", "wave"}
    (tmp_path / "other.npy").write_bytes(next((tmp_path / "raw" / "sit").iterdir()).read_bytes())
    (line,) = lines_of(run("predict", tmp_path / "run", tmp_path / "other.npy", *layout, "--device", "cpu"))
    assert (line["clip"], len(line["predictions"])) == ("other", 2)
    (tmp_path / "pairs.yaml").write_text((tmp_path / "waves.yaml").read_text().replace("TVC", "MTVC"))
    np.save(tmp_path / "pair.npy", np.random.default_rng(0).normal(scale=0.3, size=(2, 12, 17, 3)))
    outcome = run("predict", tmp_path / "run", tmp_path / "pair.npy", "--layout", tmp_path / "pairs.yaml")
    assert len(lines_of(outcome)) == 1
    assert "1 clips with more bodies than the layout's `bodies`" in outcome.err
