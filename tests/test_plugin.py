"""A distribution with a dataset, an objective and a protocol, installed beside mampctl into a fresh environment."""

import json
import os
import signal
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "tests" / "plugin"
CLASSES = ("wave", "kick", "bow")
FRAMES = 16

pytestmark = pytest.mark.xdist_group("installed")  # built and installed once

Mampctl = Callable[..., subprocess.CompletedProcess[str]]


def build_wheel(project: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, project]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment with both distributions; dependencies are lent from that of the tests."""
    environment = tmp_path_factory.mktemp("environment")
    wheels = [build_wheel(project, tmp_path_factory.mktemp("dist")) for project in (ROOT, PLUGIN)]
    venv.create(environment, with_pip=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", *wheels]
    subprocess.run(pip, check=True, capture_output=True)
    (site,) = (environment / "lib").glob("python*/site-packages")
    (site / "lent.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n")
    return environment / "bin"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of three subjects, of whom the third is tested on; one file is damaged."""
    folder = tmp_path_factory.mktemp("raw")
    rng = np.random.default_rng(0)
    for label, action in enumerate(CLASSES):
        for subject in (1, 2, 3):
            for replication in (1, 2):
                phase = np.arange(FRAMES)[:, None, None] * (label + 1) / 4
                joints = rng.normal(size=(1, 9, 3)) + 0.2 * np.sin(phase + rng.normal(size=(1, 9, 3)))
                lines = [" ".join(f"{number:.6f}" for number in frame.ravel()) for frame in joints]
                text = "\n".join([f"stick9 {FRAMES}", *lines])
                (folder / f"{action}-p{subject:02}-r{replication}.stick").write_text(text)
    (folder / "bow-p09-r1.stick").write_text("stick9 2\n1 2 3")
    return folder


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def mampctl(bin_folder: Path, environment: dict[str, str]) -> Mampctl:
    def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [bin_folder / "mampctl", *map(str, words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def store(mampctl: Mampctl, raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "stick9.zarr"
    mampctl("ingest", "stick9", "--raw", raw, "--out", path, "--workers", 0)
    mampctl("build-splits", "--protocol", "xsub", "--store", path)
    return path


@pytest.fixture(scope="module")
def pretrained(mampctl: Mampctl, store: Path) -> Path:
    out = store.parent / "selfteach"
    mampctl("train", "pretrain", "--recipe", "stick9-selfteach", "--store", store, "--out", out)
    return out


@pytest.fixture(scope="module")
def classified(mampctl: Mampctl, store: Path, pretrained: Path) -> Path:
    out = store.parent / "attentive"
    mampctl("train", "attentive", "--recipe", "stick9-xsub", "--store", store, "--from", pretrained, "--out", out)
    return out


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(max((run / "checkpoints").glob("step-*")) / "model.safetensors")


def lines(run: Path, event: str) -> list[dict[str, float]]:
    found = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line for line in found if line["event"] == event]


def test_ingest__of_a_plugin_takes_its_files_and_quarantines_damaged_ones(mampctl: Mampctl, store: Path) -> None:
    counts = json.loads(mampctl("info", store, "--json").stdout)["counts"]
    assert (counts["clips"], counts["rows"], counts["quarantined"]) == (18, 18 * FRAMES, 1)
    assert mampctl("verify", store)


def test_ingest__a_misspelt_plugin_is_named(mampctl: Mampctl, raw: Path, tmp_path: Path) -> None:
    assert "stick9" in mampctl("ingest", "stick", "--raw", raw, "--out", tmp_path / "x.zarr", code=2).stderr


def test_help__lists_what_a_plugin_brings(mampctl: Mampctl) -> None:
    assert "stick9" in mampctl("ingest", "--help").stdout
    assert "attentive" in mampctl("train", "--help").stdout
    assert "--from" in mampctl("train", "attentive", "--help").stdout


def test_recipe_list__holds_the_recipes_of_a_plugin(mampctl: Mampctl) -> None:
    assert "stick9-selfteach" in mampctl("train", "pretrain", "--recipe", "list").stdout
    assert "stick9-xsub" in mampctl("train", "attentive", "--recipe", "list").stdout


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mampctl ingest st", "stick9"),
        ("mampctl train att", "attentive"),
        ("mampctl train pretrain --recipe stick9", "stick9-selfteach"),
    ],
)
def test_completion__knows_what_a_plugin_brings(
    bin_folder: Path, environment: dict[str, str], line: str, expected: str
) -> None:
    words = line.split()
    asked = {"_MAMPCTL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [bin_folder / "mampctl"], env=environment | asked, capture_output=True, text=True, check=False
    )
    assert expected in done.stdout.split(), done.stderr


def test_pretrain__options_of_a_plugin_are_checked(mampctl: Mampctl, store: Path, tmp_path: Path) -> None:
    words = ("train", "pretrain", "--recipe", "stick9-selfteach", "--store", store, "--out", tmp_path / "run")
    assert "ratio" in mampctl(*words, "--set", "ratio=2", code=2).stderr
    assert "masking" in mampctl(*words, "--set", "masking.ratio=0.5", code=2).stderr


def test_pretrain__metrics_hold_the_objective_s_parts_and_speed(pretrained: Path) -> None:
    assert all(0 < epoch["loss"] < float("inf") for epoch in lines(pretrained, "epoch"))
    steps = lines(pretrained, "train")
    assert steps
    assert all(step["loss_teacher_size"] > 0 for step in steps)
    assert all(step["tflops"] > 0 for step in steps)
    assert json.loads((pretrained / "run.json").read_text())["task"] == "pretrain"


def test_pretrain__checkpoint_holds_the_teacher(pretrained: Path) -> None:
    tensors = weights(pretrained)
    student, teacher = tensors["encoder.norm.weight"], tensors["teacher.norm.weight"]
    assert (teacher != student).any()
    assert (teacher != torch.ones_like(teacher)).any()


DIES_AFTER_FOUR_SAVES = """
import os, signal, sys
from mamp_trainer.training.trainer import Trainer
from mampctl.runtime.main import main

saves, save = [], Trainer.save

def save_and_die(trainer):
    save(trainer)
    saves.append(trainer.position)
    if len(saves) == 4:
        os.kill(os.getpid(), signal.SIGKILL)

Trainer.save = save_and_die
sys.argv = ["mampctl", *sys.argv[1:]]
main()
"""


def test_pretrain__killed_and_resumed_has_the_same_weights(
    mampctl: Mampctl, bin_folder: Path, environment: dict[str, str], store: Path
) -> None:
    words = ("train", "pretrain", "--recipe", "stick9-selfteach", "--store", store, "--set", "schedule.epochs=6")
    whole, killed = store.parent / "whole", store.parent / "killed"
    mampctl(*words, "--out", whole)
    command = [bin_folder / "python", "-c", DIES_AFTER_FOUR_SAVES, *map(str, words), "--out", killed]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == -signal.SIGKILL
    assert not (killed / "run.json").exists()
    mampctl(*words, "--out", killed, "--resume")
    expected, resumed = weights(whole), weights(killed)
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_protocol__of_a_plugin_is_trained_recorded_and_evaluated(
    mampctl: Mampctl, store: Path, classified: Path
) -> None:
    record = json.loads((classified / "run.json").read_text())
    assert record["task"] == "attentive"
    assert 0 <= record["result"]["last_top1"] <= 100
    assert all(0 < epoch["mean_probability"] < 1 for epoch in lines(classified, "epoch"))
    evaluated = json.loads(mampctl("evaluate", classified, "--store", store, "--json").stdout)
    assert evaluated["top1"] == pytest.approx(record["result"]["last_top1"])


def test_runs__list_and_compare_know_a_plugin(mampctl: Mampctl, pretrained: Path, classified: Path) -> None:
    listed = mampctl("runs", "list", pretrained.parent).stdout
    assert "attentive" in listed
    assert "selfteach" in mampctl("runs", "compare", pretrained, classified).stdout


def test_report__of_a_plugin_s_runs_is_written(mampctl: Mampctl, pretrained: Path, classified: Path) -> None:
    page = pretrained.parent / "report.html"
    mampctl("report", pretrained, classified, "--out", page)
    assert "attentive" in page.read_text()


TWO_RANKS = """
import sys
from pathlib import Path
from mamp_trainer.recipes import load_evaluation_recipe, load_recipe
from tests.trainer.rank_threads import classify_in_double, pretrain_in_double, together

store, out = map(Path, sys.argv[1:])
pretrain, attentive = load_recipe("pretrain", "stick9-selfteach"), load_evaluation_recipe("attentive", "stick9-xsub")
def classify(*words):
    return classify_in_double(*words)[0]


for name, train, recipe in (("a", pretrain_in_double, pretrain), ("b", classify, attentive)):
    one = train(recipe, store, out / f"{name}-one")
    two, _ = together(2, lambda ranks: train(recipe, store, out / f"{name}-two", ranks))
    assert one.keys() == two.keys()
    print(max(float((one[key].double() - two[key].double()).abs().max()) for key in one))
"""


def test_training__two_ranks_equal_one(
    bin_folder: Path, environment: dict[str, str], store: Path, tmp_path: Path
) -> None:
    command = [bin_folder / "python", "-c", TWO_RANKS, store, tmp_path]
    lent = environment | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=lent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [float(line) < 1e-10 for line in done.stdout.splitlines()] == [True, True]
