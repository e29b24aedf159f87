"""What errors and results advise works as printed: each command is followed, in folders whose names have blanks."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Outcome, Run

TINY = {
    "model.frames": 16, "model.width": 16, "model.depth": 1, "model.heads": 2, "model.decoder_width": 16,
    "model.decoder_depth": 1, "model.decoder_heads": 2, "sampling.min_frames": 8, "schedule.epochs": 1,
    "schedule.warmup_epochs": 0, "batch_size": 8,
}  # fmt: skip
SETS = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
EVALUATION_SETS = [word for key, value in TINY.items() if "decoder" not in key for word in ("--set", f"{key}={value}")]
SHORT = ["--set", "schedule.epochs=1", "--set", "batch_size=8"]

OWN_RECIPE = """\
base: ntu60-demo
kind: pretrain
name: my own
summary: smaller than any that is built in
model: {frames: 16, width: 16, depth: 1, heads: 2, decoder_width: 16, decoder_depth: 1, decoder_heads: 2}
sampling: {min_frames: 8}
schedule: {epochs: 1, warmup_epochs: 0}
batch_size: 8
"""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with raw files, a store with its split, a recipe, and a pre-training by it."""
    folder = tmp_path_factory.mktemp("made") / "my data"
    folder.mkdir()
    (folder / "my recipe.yaml").write_text(OWN_RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMPCTL_DATA", str(folder))
        call = _runner(patch)
        call("synth", "ntu60", "--clips", 16, "--classes", 3, "--out", folder / "raw files.zip")
        call("ingest", "ntu60", "--raw", folder / "raw files.zip", "--workers", 0)
        call("build-splits", "--protocol", "xsub")
        call("train", "pretrain", "--recipe", folder / "my recipe.yaml", "--store", folder / "ntu60.zarr")
    return folder


def _runner(patch: pytest.MonkeyPatch) -> Callable[..., None]:
    def call(*words: object) -> None:
        from mampctl.runtime.app import run_app

        patch.setattr("sys.argv", ["mampctl", *map(str, words)])
        try:
            run_app()
        except SystemExit as end:
            assert not end.code, words  # noqa: PT017

    return call


@pytest.fixture
def data(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of what is made, elsewhere: every path in it has moved."""
    folder = tmp_path / "another place"
    shutil.copytree(made, folder)
    monkeypatch.setenv("MAMPCTL_DATA", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def advised(outcome: Outcome) -> list[str]:
    """Return the words of the command that an error's remedy, or else the last line of a result, advises."""
    errors = [json.loads(line) for line in outcome.err.splitlines() if '"event": "error"' in line]
    text = errors[-1]["remedy"] if errors else outcome.out
    commands = re.findall(r"`mampctl ([^`]+)`|: mampctl ([^\n]+)$", text, re.MULTILINE)
    assert commands, f"no command in: {text}"
    return shlex.split("".join(commands[-1]))


def follow(run: Run, outcome: Outcome, *more: object) -> Outcome:
    """Run what is advised, with options that make it small; it must succeed."""
    words = advised(outcome)
    followed = run(*words, *more)
    assert followed.code == 0, (words, followed.err)
    return followed


def fails(run: Run, *arguments: object) -> Outcome:
    outcome = run(*arguments)
    assert outcome.code in (1, 2), outcome.out
    return outcome


def test_hints__of_an_own_recipe_and_a_moved_run(run: Run, data: Path) -> None:
    moved = data / "a run that moved"
    outcome = run("train", "pretrain", "--recipe", data / "my recipe.yaml", "--out", data / "run")
    shutil.move(data / "run", moved)
    words = [str(moved) if word == str(data / "run") else word for word in advised(outcome)]
    outcome = run(*words, *SHORT, "--out", data / "linear")
    assert outcome.code == 0, outcome.err
    follow(run, outcome)
    follow(run, run("report", data / "linear", "--out", data / "page.html"))
    follow(run, run("analyse", moved))


def test_hints__of_a_draw(run: Run, data: Path) -> None:
    follow(run, run("build-splits", "--protocol", "xsub", "--fraction", "0.5", "--store", data / "ntu60.zarr"))


def test_remedy__of_a_pretraining_where_a_classifier_is_expected(run: Run, data: Path) -> None:
    pretrained = data / "runs" / "pretrain-my own"
    follow(run, fails(run, "evaluate", pretrained), *SHORT, "--out", data / "one")
    elsewhere = shutil.move(data / "ntu60.zarr", data / "moved.zarr")
    shutil.move(data / "ntu60.xsub.json", data / "moved.xsub.json")
    follow(run, fails(run, "evaluate", pretrained, "--store", elsewhere), *SHORT, "--out", data / "two")


def test_remedy__of_a_missing_split(run: Run, data: Path) -> None:
    (data / "ntu60.xsub.json").unlink()
    command = ("train", "pretrain", "--recipe", data / "my recipe.yaml", "--out", data / "run")
    follow(run, fails(run, *command))
    assert run(*command).code == 0


def test_remedy__of_a_missing_draw(run: Run, data: Path) -> None:
    sets = ["--set", "subset.fraction=0.5", "--set", "subset.draw=6", *EVALUATION_SETS]
    command = ("train", "semi", "--recipe", "ntu60-xsub-10pct-scratch", "--out", data / "run", *sets)
    follow(run, fails(run, *command))
    outcome = run(*command)
    assert outcome.code == 0, outcome.err


def test_remedy__of_a_split_of_another_store(run: Run, data: Path) -> None:
    path = data / "ntu60.xsub.json"
    path.write_text(path.read_text().replace('"content_hash": "', '"content_hash": "0'))
    follow(run, fails(run, "train", "pretrain", "--recipe", data / "my recipe.yaml", "--out", data / "run"))


def test_remedy__of_a_protocol_that_leaves_a_split_empty(run: Run, tmp_path: Path) -> None:
    raw, store = tmp_path / "raw", tmp_path / "a store.zarr"
    assert run("synth", "ntu60", "--clips", 24, "--classes", 2, "--subjects", 2, "--out", raw).code == 0
    for path in raw.iterdir():
        if "P001" not in path.name:  # the only one whose clips are for training
            path.unlink()
    ingested = run("ingest", "ntu60", "--raw", raw, "--out", store, "--workers", 0)
    assert ingested.code == 0, ingested.err
    failed = fails(run, "build-splits", "--protocol", "xsub", "--store", store)
    assert "xsub puts 12 clips into the train split and 0 into the test split" in failed.err
    assert not store.with_name("a store.xsub.json").exists()
    assert advised(failed) == advised(ingested) == advised(run("info", store))
    follow(run, failed)


def test_remedy__of_a_recipe_of_another_task(run: Run, data: Path) -> None:
    follow(run, fails(run, "train", "linear", "--recipe", data / "my recipe.yaml"), "--out", data / "run")


def test_remedy__of_no_store(run: Run, data: Path) -> None:
    shutil.rmtree(data / "ntu60.zarr")
    outcome = fails(run, "train", "pretrain", "--recipe", data / "my recipe.yaml", "--out", data / "run")
    words = [str(data / "raw files.zip") if word == "PATH" else word for word in advised(outcome)]
    assert run(*words, "--workers", 0).code == 0
    assert (data / "ntu60.zarr").is_dir()


def test_remedy__of_several_stores(run: Run, data: Path) -> None:
    shutil.copytree(data / "ntu60.zarr", data / "ntu120.zarr")
    failed = fails(run, "build-splits", "--protocol", "xsub")
    remedy = json.loads(failed.err.splitlines()[-1])["remedy"]
    words = shlex.split(remedy.partition("such as ")[2])
    assert run("build-splits", "--protocol", "xsub", *words).code == 0


def test_remedy__of_a_checkpoint_that_is_not_there(run: Run, data: Path) -> None:
    pretrained = data / "runs" / "pretrain-my own"
    failed = fails(run, "embed", pretrained, "--checkpoint", 9, "--out", data / "x.npz")
    words = re.search(r"(--checkpoint \S+)\.", json.loads(failed.err.splitlines()[-1])["remedy"])
    assert words is not None
    outcome = run("embed", pretrained, *words[1].split(), "--out", data / "x.npz")
    assert outcome.code == 0, outcome.err


def test_remedy__of_a_damaged_store(run: Run, data: Path) -> None:
    shutil.rmtree(data / "ntu60.zarr" / "clips" / "label")
    failed = fails(run, "report", data / "ntu60.zarr", "--out", data / "page.html")
    assert "verify" in advised(failed)
    outcome = run(*advised(failed))
    assert outcome.code == 1
    assert "label" in outcome.out + outcome.err


def test_remedy__of_a_damaged_analysis(run: Run, data: Path) -> None:
    pretrained = data / "runs" / "pretrain-my own"
    (pretrained / "analysis.json").write_text("{")
    follow(run, fails(run, "report", pretrained, "--out", data / "page.html"))


def test_remedy__of_no_run(run: Run, data: Path) -> None:
    failed = fails(run, "runs", "show", data / "runs" / "nothing")
    assert "no such run" in failed.err
    assert "pretrain-my own" in follow(run, failed).out
    failed = fails(run, "train", "linear", "--from", data / "runs" / "nothing")
    assert "no such run or checkpoint" in failed.err
    assert "pretrain-my own" in follow(run, failed).out


def test_remedy__of_a_run_that_is_there_already(run: Run, data: Path) -> None:
    command = ("train", "pretrain", "--recipe", data / "my recipe.yaml", "--store", data / "ntu60.zarr")
    assert "--resume" in fails(run, *command).err
    assert run(*command, "--resume").code == 0


def test_remedy__of_a_folder_of_no_input(run: Run, data: Path) -> None:
    raw, store = data / "bad", data / "b.zarr"
    raw.mkdir()
    (raw / "S001C001P001R001A001.skeleton").write_text("damaged")
    follow(run, fails(run, "ingest", "ntu60", "--raw", raw, "--out", store, "--workers", 0))
    follow(run, fails(run, "build-splits", "--protocol", "xsub", "--store", store))


OWN_LAYOUT = """\
name: My recordings
skeleton: {name: stick, centre: Hip, joints: {Hip: Hip, Chest: Hip, Head: Chest}}
files: {format: npy, order: TVC}
units: metres
"""
LABELLED = """\
names: '(?P<label>[a-z]+)_s(?P<subject>\\d)'
labels: name
classes: [wave, sit]
protocols:
  - {name: halves, column: subject, train: [1]}
"""


def write_recordings(folder: Path) -> Path:
    import numpy as np

    folder.mkdir()
    steps = np.linspace(0, 0.3, 20, dtype=np.float32)[:, None, None]
    for number, label in enumerate(("wave", "sit")):
        for subject in (1, 2):
            body = np.array([[0, 0, 2], [0, 0.4, 2], [0, 0.8, 2]], np.float32) + steps * (number + 1) * [1, 0, 0]
            np.save(folder / f"{label}_s{subject}.npy", body.astype(np.float32))
    return folder


@pytest.mark.parametrize("labels", [LABELLED, ""])
def test_hints__of_own_recordings(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: str) -> None:
    monkeypatch.chdir(tmp_path)
    raw, layout, store = write_recordings(tmp_path / "raw"), tmp_path / "my layout.yaml", tmp_path / "own.zarr"
    layout.write_text(OWN_LAYOUT + labels)
    ingested = run("ingest", "custom", "--layout", layout, "--raw", raw, "--out", store, "--workers", 0)
    outcome = follow(run, ingested)
    if not labels:
        assert (tmp_path / "report.html").is_file()
        return
    tiny = [*SETS, "--out", tmp_path / "run"]
    outcome = follow(run, follow(run, outcome, *tiny), *SHORT, "--out", tmp_path / "linear")
    follow(run, outcome, "--store", store)


def test_remedy__of_own_recordings_without_a_recipe(run: Run, tmp_path: Path) -> None:
    raw, layout, store = write_recordings(tmp_path / "raw"), tmp_path / "my layout.yaml", tmp_path / "own.zarr"
    layout.write_text(OWN_LAYOUT + LABELLED)
    assert run("ingest", "custom", "--layout", layout, "--raw", raw, "--out", store, "--workers", 0).code == 0
    assert run("build-splits", "--protocol", "halves", "--store", store).code == 0
    for task in ("pretrain", "linear"):
        failed = fails(run, "train", task, "--store", store)
        follow(run, failed, *(SETS if task == "pretrain" else SHORT), "--out", tmp_path / task)


@pytest.mark.parametrize("words", [("predict", "x.yaml", "raw"), ("evaluate", "x.yaml"), ("knn", "x.yaml")])
def test_checkpoint__a_yaml_file_is_called_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text("a: 1\n")
    assert "x.yaml: a YAML file, such as a recipe or a layout, not a trained network" in fails(run, *words).err


def test_damaged_downloads__are_called_so(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("S001C001P001R001A001.skeleton", "x.pth", "x.yaml"):
        Path(name).write_bytes(bytes(500))
    outcome = run("ingest", "ntu60", "--raw", "S001C001P001R001A001.skeleton", "--out", "s.zarr", "--workers", 0)
    assert "NUL characters, 100% of the file: a damaged download or copy" in outcome.out
    assert "full of NUL bytes" in fails(run, "knn", "x.pth", "--recipe", "ntu60-demo").err
    assert "full of NUL bytes" in fails(run, "train", "pretrain", "--recipe", "x.yaml").err
    assert "\0" not in outcome.out + outcome.err


def test_train__says_that_no_pretraining_is_evaluated(run: Run, data: Path) -> None:
    outcome = run("train", "linear", "--recipe", "ntu60-demo", *EVALUATION_SETS, "--out", data / "run")
    assert outcome.code == 0, outcome.err
    assert "of an encoder that was never trained, with initial weights of seed 0" in outcome.err
    assert "the encoder began with initial weights" in outcome.out
    assert ": 1 epoch, " in outcome.out


@pytest.mark.parametrize(
    "words",
    [
        ("knn", "--k", 10**9), ("build-splits", "--protocol", "xsub", "--fraction", "0.5", "--draws", 10**9),
        ("build-splits", "--protocol", "xsub", "--fraction", "0.5", "--seed", 2**70),
        ("train", "semi", "--draws", 10**9), ("reproduce", "table1", "--seeds", 10**9),
        ("train", "pretrain", "--recipe", "ntu60-demo", "--set", "seed=" + "9" * 6000),
        ("train", "pretrain", "--recipe", "ntu60-demo", "--set", "name=../x"),
    ],
)  # fmt: skip
def test_options__numbers_out_of_bounds_are_refused(run: Run, words: tuple[object, ...]) -> None:
    assert run(*words).code == 2
