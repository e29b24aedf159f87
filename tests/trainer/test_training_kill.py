"""Training killed at any moment, without a warning, and gone on with: the same weights in the end."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mamp_schemas.models.recipe import ScheduleSpec
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.runtime import RunContext
from tests.trainer.runs import assert_same_run, pretrain_recipe, write_toy_store

RECIPE = pretrain_recipe(schedule=ScheduleSpec(epochs=15, lr=0.01), checkpoint_every=1)
STEPS = 15 * 13
ROOT = Path(__file__).parents[2]

VICTIM = """
import signal, sys
from pathlib import Path
import torch
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.runtime import RunContext
from tests.trainer.runs import SignalAfter
from tests.trainer.test_training_kill import RECIPE
torch.set_num_threads(1)
progress = SignalAfter(int(sys.argv[3]), signal.SIGKILL)
pretrain(RECIPE, Path(sys.argv[1]), RunContext(Path(sys.argv[2]), True, device="cpu", progress=progress))
"""


@pytest.mark.parametrize("moments", [3, pytest.param(10, marks=pytest.mark.soak)])
def test_pretrain__killed_at_random_steps_ends_with_the_same_weights(tmp_path: Path, moments: int) -> None:
    store = write_toy_store(tmp_path)
    pretrain(RECIPE, store, RunContext(tmp_path / "whole", device="cpu"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for step in sorted(random.Random(moments).sample(range(1, STEPS), moments)):
        arguments = [str(store), str(tmp_path / "run"), str(step)]
        killed = subprocess.run([sys.executable, "-c", VICTIM, *arguments], env=environment, capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    pretrain(RECIPE, store, RunContext(tmp_path / "run", resume=True, device="cpu"))
    assert_same_run(tmp_path / "whole", tmp_path / "run")
