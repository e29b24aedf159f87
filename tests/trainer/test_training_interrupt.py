"""A signal in the middle of a step, or of a test batch: the step is abandoned, and resuming it changes no number."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.modules.module import register_module_forward_hook

from mamp_schemas.errors import Interrupted
from mamp_trainer.models.heartbeat import heartbeat
from mamp_trainer.models.transformer import Linear
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.runtime import RunContext
from tests.trainer.runs import (
    assert_same_run,
    evaluate_encoder,
    finetune_recipe,
    last_checkpoint,
    linear_recipe,
    pretrain_recipe,
    write_toy_store,
)

PER_PASS = 11
"""Linear layers of a forward pass of the tiny network: three beside the blocks, four in each of two blocks."""

TIMED, STEP = 2 * PER_PASS, 2 * PER_PASS
"""Two passes are timed before the first step, and each step has two microbatches."""


@contextmanager
def calls_of_linear_layers(on_call: Callable[[int], None]) -> Iterator[None]:
    """Have a function called after each forward pass of a linear layer, with the number of passes."""
    calls = 0

    def count(module: Any, _inputs: Any, _output: Any) -> None:
        nonlocal calls
        if isinstance(module, Linear):
            calls += 1
            on_call(calls)

    handle = register_module_forward_hook(count)
    try:
        yield
    finally:
        handle.remove()


def interrupted_in(calls: int, work: Callable[[], object], number: signal.Signals = signal.SIGTERM) -> int:
    """Do work that gets a signal after so many passes of linear layers; return how many follow."""
    after = 0

    def send(done: int) -> None:
        nonlocal after
        after = done - calls
        if done == calls:
            os.kill(os.getpid(), number)

    with calls_of_linear_layers(send), pytest.raises(Interrupted):
        work()
    return after


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("calls", [1, TIMED + 1, TIMED + 4 * STEP + 3, TIMED + 5 * STEP - 5])
def test_pretrain__interrupted_in_a_step_keeps_the_step_before(store: Path, tmp_path: Path, calls: int) -> None:
    recipe = pretrain_recipe(micro_batch=1)
    pretrain(recipe, store, RunContext(tmp_path / "whole", device="cpu"))

    assert interrupted_in(calls, lambda: pretrain(recipe, store, RunContext(tmp_path / "run", device="cpu"))) == 0

    assert last_checkpoint(tmp_path / "run").step == max(calls - TIMED, 0) // STEP
    pretrain(recipe, store, RunContext(tmp_path / "run", resume=True, device="cpu"))
    assert_same_run(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("recipe", [linear_recipe(), finetune_recipe()], ids=lambda recipe: recipe.kind)
@pytest.mark.parametrize("calls", [30, 33, 40])
def test_train_classifier__interrupted_anywhere_has_the_same_numbers(
    store: Path, tmp_path: Path, recipe: Any, calls: int
) -> None:
    evaluate_encoder(recipe, store, tmp_path / "whole", device="cpu")

    interrupted_in(calls, lambda: evaluate_encoder(recipe, store, tmp_path / "run", device="cpu"), signal.SIGINT)

    evaluate_encoder(recipe, store, tmp_path / "run", resume=True, device="cpu")
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_pretrain__a_second_ctrl_c_ends_the_step_at_once(store: Path, tmp_path: Path) -> None:
    def send(done: int) -> None:
        if done == 30:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with calls_of_linear_layers(send), pytest.raises(KeyboardInterrupt) as caught:
        pretrain(pretrain_recipe(micro_batch=1), store, RunContext(tmp_path / "run", device="cpu"))
    assert not isinstance(caught.value, Interrupted)


def test_linear__a_listener_is_called_before_and_behind_each_layer() -> None:
    beats: list[Tensor | None] = []
    layer = Linear(3, 2)
    with heartbeat(lambda: beats.append(None)):
        output = layer(torch.ones(1, 3))
        assert len(beats) == 1
        output.sum().backward()
    assert len(beats) == 2
    layer(torch.ones(1, 3))
    assert len(beats) == 2


class Values:
    """Progress that keeps the values it is told of."""

    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []

    def start(self, task: str, total: int, unit: str, done: int = 0) -> None: ...

    def advance(self, count: int, **values: Any) -> None:
        self.values.append(values)


def test_pretrain__long_steps_show_their_microbatches(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mamp_trainer.training.state.LONG_STEP", 0.0)
    progress = Values()
    pretrain(pretrain_recipe(micro_batch=1), store, RunContext(tmp_path, device="cpu", progress=progress))
    shown = [values.get("microbatches") for values in progress.values]
    assert {"0 of 2", "1 of 2"} <= {*shown}


def test_train_classifier__shows_that_test_clips_are_measured(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mamp_trainer.training.state.LONG_STEP", 0.0)
    progress = Values()
    evaluate_encoder(linear_recipe(), store, tmp_path, device="cpu", progress=progress)
    assert "test clips" in [values.get("measuring") for values in progress.values]
