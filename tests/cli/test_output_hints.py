"""The recipe that is suggested for a store: one that the machine can train in an hour."""

import shlex
from pathlib import Path

import pytest

from mamp_schemas.models.recipe import PRETRAIN
from mamp_schemas.models.store import MotionSpec, StoreMetadata
from mamp_trainer.recipes import load_recipe
from mampctl.defaults import suggest_recipe_options
from mampctl.output.hints import print_hint
from tests.trainer.stores import make_clips, metadata_of


def metadata(clips: int, dataset: str = "ntu60") -> StoreMetadata:
    made = metadata_of(make_clips([(1, 4)]), dataset, MotionSpec())
    return made.replaced(counts=made.counts.replaced(clips=clips))


def test_suggest_recipe_options__with_a_gpu_the_published_recipe() -> None:
    assert suggest_recipe_options(metadata(56_578), "xview", gpu=True) == "--recipe ntu60-xview"


@pytest.mark.parametrize(("clips", "epochs"), [(12, 80), (56_578, 5), (5_000_000, 2)])
def test_suggest_recipe_options__without_a_gpu_a_small_network_for_an_hour(clips: int, epochs: int) -> None:
    words = shlex.split(suggest_recipe_options(metadata(clips), "xsub", gpu=False))
    recipe = load_recipe(PRETRAIN, words[1], words[3::2])
    assert (recipe.dataset, recipe.protocol, recipe.model.joints) == ("ntu60", "xsub", 25)
    assert recipe.model.width == 64
    assert recipe.schedule.epochs == epochs
    assert recipe.schedule.warmup_epochs <= epochs // 4


def test_suggest_recipe_options__without_a_gpu_the_small_recipe_of_the_dataset() -> None:
    assert suggest_recipe_options(metadata(1_484, "nwucla"), "xview", gpu=False).startswith("--recipe nwucla-small")


def test_print_hint__a_training_gets_an_unused_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAMPCTL_DATA", str(tmp_path))
    words = ("train", PRETRAIN, "--recipe", "nwucla-small", "--store", "own.zarr")
    print_hint(*words)
    assert "--out" not in capsys.readouterr().out
    runs = tmp_path / "runs"
    for name in ("pretrain-nwucla-small", "pretrain-nwucla-small-2"):
        (runs / name).mkdir(parents=True)
    print_hint(*words)
    assert capsys.readouterr().out.rstrip().endswith(f"--store own.zarr --out {runs / 'pretrain-nwucla-small-3'}")
    print_hint("train", "semi", "--recipe", "list")
    assert capsys.readouterr().out.rstrip().endswith("--recipe list")
