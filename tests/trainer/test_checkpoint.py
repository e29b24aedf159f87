import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mamp_schemas.errors import CheckpointError, OutputError
from mamp_trainer.belonging import UNTRAINED, Belonging
from mamp_trainer.checkpoint import latest, load, save
from tests.trainer.runs import pretrain_recipe

BELONGING = Belonging(task="pretrain", store_hash="a" * 64, manifest_hash="b" * 64, encoder=UNTRAINED)
FILES = ("model.safetensors", "state.pt", "recipe.json", "meta.json")


def save_step(run: Path, step: int, value: float = 1.0) -> Path:
    module = nn.Linear(2, 1)
    nn.init.constant_(module.weight, value)
    state = {"moments": torch.arange(3.0), "position": [1, step], "lr": 0.5}
    return save(run, step, module, state, pretrain_recipe(), BELONGING)


def test_load__returns_what_was_saved(tmp_path: Path) -> None:
    checkpoint = load(save_step(tmp_path, 12))
    assert (checkpoint.step, checkpoint.belonging) == (12, BELONGING)
    assert torch.equal(checkpoint.weights["weight"], torch.ones(1, 2))
    assert torch.equal(checkpoint.state["moments"], torch.arange(3.0))
    assert checkpoint.recipe == pretrain_recipe().model_dump(mode="json")


def test_save__folder_is_named_by_the_step_and_holds_four_files(tmp_path: Path) -> None:
    folder = save_step(tmp_path, 1234)
    assert folder == tmp_path / "checkpoints" / "step-00001234"
    assert sorted(entry.name for entry in folder.iterdir()) == sorted(FILES)


def test_save__keeps_the_last_two(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        save_step(tmp_path, step)
    assert sorted(entry.name for entry in (tmp_path / "checkpoints").iterdir()) == ["step-00000002", "step-00000010"]


def test_save__a_second_time_at_a_step_replaces_the_first(tmp_path: Path) -> None:
    save_step(tmp_path, 5, value=1.0)
    folder = save_step(tmp_path, 5, value=2.0)
    assert torch.equal(load(folder).weights["weight"], torch.full((1, 2), 2.0))
    assert len(list(folder.parent.iterdir())) == 1


def test_save__clears_away_what_a_killed_run_left(tmp_path: Path) -> None:
    left = tmp_path / "checkpoints" / ".step-00000003.partial"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    assert latest(tmp_path) is None
    save_step(tmp_path, 4)
    assert not left.exists()


def test_save__full_disk_says_what_is_needed_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = save_step(tmp_path, 1)

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"step-00000002.*No space left.*MB are needed"):
        save_step(tmp_path, 2)
    assert list((tmp_path / "checkpoints").iterdir()) == [before]


def test_latest__none_before_the_first(tmp_path: Path) -> None:
    assert latest(tmp_path) is None


@pytest.mark.parametrize("name", FILES)
def test_load__names_a_missing_file(tmp_path: Path, name: str) -> None:
    folder = save_step(tmp_path, 1)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load(folder)


@pytest.mark.parametrize("name", FILES)
def test_load__names_a_truncated_file(tmp_path: Path, name: str) -> None:
    path = save_step(tmp_path, 1) / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CheckpointError, match=name):
        load(path.parent)


@pytest.mark.parametrize("name", FILES[:3])
def test_load__names_a_file_with_one_byte_changed(tmp_path: Path, name: str) -> None:
    path = save_step(tmp_path, 1) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        load(path.parent)


def test_load__refuses_a_state_that_would_run_code(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    module = nn.Linear(2, 1)
    folder = save(tmp_path, 1, module, {"hostile": Hostile()}, pretrain_recipe(), BELONGING)
    with pytest.raises(CheckpointError):
        load(folder)
    assert not (tmp_path / "ran").exists()
