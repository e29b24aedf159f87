"""Runs whose files somebody has written again, digests included: an error that names the file, never a traceback."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from mamp_schemas.errors import CheckpointError, OutputError, RecordError
from mamp_schemas.models.sealed import dump_sealed_json
from mamp_trainer.checkpoints.files import read_meta
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.runtime import RunContext
from tests.trainer.runs import SignalAfter, pretrain_recipe, write_toy_store

STEPS = 14
"""One step into the second epoch."""

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def interrupted(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run") / "run"
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        pretrain(pretrain_recipe(), store, RunContext(run, device="cpu", progress=SignalAfter(STEPS)))
    return run


@pytest.fixture
def run(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of an interrupted run, to be damaged."""
    return shutil.copytree(interrupted, tmp_path / "run")


def resume(run: Path, store: Path) -> None:
    pretrain(pretrain_recipe(), store, RunContext(run, resume=True, device="cpu"))


def rewrite(run: Path, change: Callable[[Files], object]) -> Path:
    """Change the files of the latest checkpoint, and its digests with them."""
    folder = max((run / "checkpoints").iterdir())
    meta = read_meta(folder)
    files = {name: (folder / name).read_bytes() for name in meta.files}
    change(files)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (folder / "meta.json").write_bytes(dump_sealed_json(meta.replaced(files=digests)))
    return folder


def in_state(change: Callable[[dict[str, Any]], object]) -> Callable[[Files], None]:
    def apply(files: Files) -> None:
        state = torch.load(io.BytesIO(files["state.pt"]), weights_only=True)
        change(state)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        files["state.pt"] = buffer.getvalue()

    return apply


def in_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Files], None]:
    def apply(files: Files) -> None:
        weights = safetensors.torch.load(files["model.safetensors"])
        change(weights)
        files["model.safetensors"] = safetensors.torch.save(weights)

    return apply


def put(name: str, content: bytes) -> Callable[[Files], None]:
    return lambda files: files.__setitem__(name, content)


def cut_moments(state: dict[str, Any]) -> None:
    moments = state["optimiser"]["state"]
    first = next(key for key in moments if len(moments[key]["exp_avg"]) > 1)
    moments[first]["exp_avg"] = moments[first]["exp_avg"][:1].clone()


CHANGES: dict[str, tuple[Callable[[Files], None], str]] = {
    "weights that are garbage": (put("model.safetensors", b"garbage" * 9), r"model\.safetensors cannot be read"),
    "weights truncated": (lambda files: put("model.safetensors", files["model.safetensors"][:-9])(files), "model"),
    "a weight less": (in_weights(dict.popitem), "1 tensors are missing"),
    "weights of another shape": (in_weights(lambda w: w.update({key: w[key][:1].clone() for key in w})), "has shape"),
    "whole numbers": (in_weights(lambda w: w.update({key: w[key].int() for key in w})), "holds torch.int32"),
    "a state that is garbage": (put("state.pt", b"garbage"), r"state\.pt cannot be read"),
    "a state that is a list": (lambda files: put("state.pt", saved([1]))(files), "expected a dictionary, got a list"),
    "a state without optimiser": (in_state(lambda state: state.pop("optimiser")), "KeyError: 'optimiser'"),
    "a state without position": (in_state(lambda state: state.pop("position")), "KeyError: 'position'"),
    "a position that is none": (in_state(lambda state: state.update(position=[-1, "x"])), "position"),
    "a position too long": (in_state(lambda state: state.update(position=[1, 1, 1])), "does not fit"),
    "another epoch": (in_state(lambda state: state.update(position=[2, 1])), "the history of 1 epochs, 2 are done"),
    "losses of another form": (in_state(lambda state: state.update(state={"x": 1})), "does not fit: TypeError"),
    "moments of another shape": (in_state(cut_moments), "'exp_avg' has shape"),
    "another weight decay": (
        in_state(lambda state: state["optimiser"]["param_groups"][0].update(weight_decay=9.0)),
        "'weight_decay' of group 0 is 9.0",
    ),
    "a group less": (in_state(lambda state: state["optimiser"]["param_groups"].pop()), "does not fit: ValueError"),
    "a recipe that is a list": (put("recipe.json", b"[]"), r"recipe\.json cannot be read: expected a dictionary"),
    "a recipe nested deep": (put("recipe.json", b"[" * 100_000), r"recipe\.json cannot be read"),
    "a recipe without model": (put("recipe.json", b"{}"), r"recipe\.json cannot be read: has no kind"),
    "a file elsewhere": (put("../../recipe.yaml", b"x"), r"meta\.json cannot be read: it names the files '\.\./"),
    "a file less": (lambda files: files.pop("state.pt"), r"meta\.json cannot be read: it names the files"),
}


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_pretrain__resumed_from_a_rewritten_checkpoint(
    store: Path, run: Path, change: Callable[[Files], None], message: str
) -> None:
    folder = rewrite(run, change)
    with pytest.raises(CheckpointError, match=message) as caught:
        resume(run, store)
    assert folder.name in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("line", [b"\xff\xfe\x00", b"not this", b"[]", b'{"event": "train"}'])
def test_pretrain__resumed_with_a_damaged_line_of_metrics(store: Path, run: Path, line: bytes) -> None:
    metrics = run / "metrics.jsonl"
    first, rest = metrics.read_bytes().split(b"\n", 1)
    metrics.write_bytes(line + b"\n" + rest)
    with pytest.raises(RecordError, match=r"metrics\.jsonl, line 1: not a line of metrics") as caught:
        resume(run, store)
    assert metrics.read_bytes() == line + b"\n" + rest
    assert "or remove metrics.jsonl" in caught.value.remedy
    metrics.unlink()
    resume(run, store)
    assert (run / "run.json").exists()
    assert first not in metrics.read_bytes()


def test_pretrain__resumed_with_metrics_that_were_cut(store: Path, run: Path, caplog: pytest.LogCaptureFixture) -> None:
    metrics = run / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-1])
    resume(run, store)
    assert "lines that this run has written: others are lost" in caplog.text


def test_pretrain__resumed_without_checkpoint_beside_a_recipe_of_bad_bytes(store: Path, run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    (run / "recipe.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OutputError, match="the folder holds something else than a run of this recipe"):
        resume(run, store)


def test_pretrain__resumed_beside_a_record_of_bad_bytes(store: Path, run: Path) -> None:
    (run / "run.json").write_bytes(b"\xff\xfe\x00")
    resume(run, store)
    assert json.loads((run / "run.json").read_bytes())["recipe"] == pretrain_recipe().name
