"""How long a training will take, said before its first step, without changing a number."""

import logging
import re
from pathlib import Path

import pytest
import torch

from mamp_schemas.errors import Interrupted
from mamp_schemas.models.recipe import PRETRAIN
from mamp_schemas.registry import PROTOCOLS
from mamp_trainer.distributed.context import SINGLE_PROCESS
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.protocols.classification import loss_function
from mamp_trainer.protocols.networks import make_classifier
from mamp_trainer.recipes import load_recipe, recipe_names
from mamp_trainer.training.estimate import (
    PassSeconds,
    Work,
    duration_text,
    fitting_recipes,
    report_time,
    time_passes,
)
from mamp_trainer.training.hooks import never_interrupt
from mamp_trainer.training.microbatch import MicrobatchSampler
from mamp_trainer.training.runtime import RunContext
from tests.trainer.runs import CLASSES, CPU, SignalAfter, finetune_recipe, open_source, pretrain_recipe, write_toy_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


def test_time_passes__changes_no_number(store: Path) -> None:
    recipe = finetune_recipe()
    data = open_source(store, recipe)
    model = make_classifier(recipe, CLASSES, None)
    loss = loss_function(model, recipe, PROTOCOLS.get("finetune"))
    microbatches = MicrobatchSampler(data.train_batches(data.load("train")))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.random.get_rng_state()

    seconds = time_passes(
        lambda batch: loss(batch, 0).total,
        model,
        microbatches,
        (0, 0),
        CPU,
        SINGLE_PROCESS,
        never_interrupt,
        same_shape=False,
    )

    assert 0 < seconds.forward < seconds.step
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), generator)


def test_total__counts_steps_and_measured_clips_over_the_ranks() -> None:
    work = Work(steps=10, epochs=3, test_clips=100)
    assert PassSeconds(forward=0.5, step=2.0).total(work, batch_size=8, world_size=2) == (160 + 150) / 2


def test_pretrain__says_how_long_the_steps_that_are_left_take(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(Interrupted):
        pretrain(pretrain_recipe(), store, RunContext(tmp_path, device="cpu", progress=SignalAfter(4)))
    pretrain(pretrain_recipe(), store, RunContext(tmp_path, resume=True, device="cpu"))
    assert re.search(r"about \d+ s for 39 steps on this CPU, by \d+ thread", caplog.text)
    assert re.search(r"about \d+ s for 35 steps", caplog.text)


def test_report_time__of_a_long_training_names_recipes_that_fit(caplog: pytest.LogCaptureFixture) -> None:
    recipe = load_recipe(PRETRAIN, "nwucla-xview")
    report_time(recipe, Work(31_200, 400, 0), 75 * 3600.0, 2, alternatives=True)
    assert "about 75 h for 31,200 steps on this CPU, by 2 threads" in caplog.text
    assert "recipes that fit it: nwucla-small" in caplog.text


@pytest.mark.parametrize("name", ["ntu60-xsub", "ntu120-xset", "pku2-xsub", "ntu60-xsub-skeletonmae"])
def test_fitting_recipes__are_recipes_as_the_command_takes_them(name: str) -> None:
    recipe = load_recipe(PRETRAIN, name)
    fitting = fitting_recipes(recipe, 30 * 86400.0)
    assert fitting
    assert name not in fitting
    for words in map(str.split, fitting):
        assert words[0] in recipe_names(PRETRAIN)
        made = load_recipe(PRETRAIN, words[0], words[2::2])
        assert (made.dataset, made.model.width < recipe.model.width) == (recipe.dataset, True)


def test_fitting_recipes__the_small_network_gets_so_many_epochs_as_fit() -> None:
    recipe = load_recipe(PRETRAIN, "nwucla-xview")
    assert fitting_recipes(recipe, 86400.0) == ["nwucla-small"]
    (words,) = (words.split() for words in fitting_recipes(recipe, 90 * 86400.0))
    made = load_recipe(PRETRAIN, words[0], words[2::2])
    assert words[0] == "nwucla-small"
    assert not [word for word in words if word.startswith(("dataset", "protocol", "model"))]
    assert 2 <= made.schedule.epochs < load_recipe(PRETRAIN, words[0]).schedule.epochs


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (80, "80 s"),
        (100, "2 min"),
        (3600, "60 min"),
        (7200, "2 h"),
        (75 * 3600, "75 h"),
        (5 * 86400, "5 days"),
    ],
)
def test_duration_text__is_how_one_says_it(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
