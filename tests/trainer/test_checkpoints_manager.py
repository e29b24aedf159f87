import errno
import hashlib
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mamp_schemas.errors import CheckpointError, OutputError
from mamp_schemas.io.run_files import UNTRAINED, latest_checkpoint
from mamp_schemas.models.sealed import dump_sealed_json
from mamp_trainer.checkpoints.files import RunIdentity, Snapshot, read_checkpoint, read_meta
from mamp_trainer.checkpoints.manager import CheckpointWriter, best_checkpoint, find_checkpoint, save_checkpoint
from tests.trainer.runs import pretrain_recipe

IDENTITY = RunIdentity(task="pretrain", store_hash="a" * 64, manifest_hash="b" * 64, encoder=UNTRAINED)
FILES = ("model.safetensors", "state.pt", "recipe.json", "meta.json")


def snapshot(step: int, value: float = 1.0, measure: float | None = None) -> Snapshot:
    module = nn.Linear(2, 1)
    nn.init.constant_(module.weight, value)
    state = {"moments": torch.arange(3.0), "position": [1, step], "lr": 0.5}
    return Snapshot.take(step, module, state, pretrain_recipe(), IDENTITY, measure)


def save_step(run: Path, step: int, value: float = 1.0, measure: float | None = None) -> Path:
    return save_checkpoint(run, snapshot(step, value, measure))


def test_read_checkpoint__returns_what_was_saved(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(save_step(tmp_path, 12))
    assert (checkpoint.step, checkpoint.identity) == (12, IDENTITY)
    assert torch.equal(checkpoint.weights["weight"], torch.ones(1, 2))
    assert torch.equal(checkpoint.state["moments"], torch.arange(3.0))
    assert checkpoint.recipe == pretrain_recipe().model_dump(mode="json")


def test_read_checkpoint__any_changed_byte_is_noticed(tmp_path: Path) -> None:
    folder, chance = save_step(tmp_path, 12, measure=50.0), random.Random(3)
    for name in FILES:
        whole = (folder / name).read_bytes()
        places = range(len(whole)) if name == "meta.json" else chance.sample(range(len(whole)), 40)
        for at in places:
            damaged = bytearray(whole)
            damaged[at] ^= 1 << chance.randrange(8)
            (folder / name).write_bytes(damaged)
            with pytest.raises(CheckpointError, match=r"step-00000012"):
                read_checkpoint(folder)
        (folder / name).write_bytes(whole)
    assert read_checkpoint(folder).step == 12


def test_read_checkpoint__a_folder_under_the_name_of_another_step_is_refused(tmp_path: Path) -> None:
    folder = save_step(tmp_path, 12)
    renamed = folder.rename(folder.with_name("step-00000013"))
    with pytest.raises(CheckpointError, match=r"it is of step 12: its folder was step-00000012"):
        read_checkpoint(renamed)
    assert read_checkpoint(renamed.rename(tmp_path / "elsewhere")).step == 12


def test_read_checkpoint__files_that_were_replaced_together_with_their_digests(tmp_path: Path) -> None:
    folder = save_step(tmp_path, 12)
    nested = b"\x80\x02}N" + b"q\0h\0\x86" * 400 + b"Ns."
    for name, content in (("state.pt", nested), ("state.pt", b"\x80\x02N."), ("recipe.json", b"[" * 100_000)):
        before, meta = (folder / name).read_bytes(), read_meta(folder)
        (folder / name).write_bytes(content)
        files = {**meta.files, name: hashlib.sha256(content).hexdigest()}
        (folder / "meta.json").write_bytes(dump_sealed_json(meta.model_copy(update={"files": files})))
        with pytest.raises(CheckpointError, match=rf"step-00000012.{name} cannot be read"):
            read_checkpoint(folder)
        (folder / name).write_bytes(before)
        (folder / "meta.json").write_bytes(dump_sealed_json(meta))
    meta = read_meta(folder)
    other = meta.model_copy(update={"files": {**meta.files, "../../secret": "0" * 64}})
    (folder / "meta.json").write_bytes(dump_sealed_json(other))
    with pytest.raises(CheckpointError, match=r"it names the files '\.\./\.\./secret'"):
        read_checkpoint(folder)


def test_save_checkpoint__folder_is_named_by_the_step_and_holds_four_files(tmp_path: Path) -> None:
    folder = save_step(tmp_path, 1234)
    assert folder == tmp_path / "checkpoints" / "step-00001234"
    assert sorted(entry.name for entry in folder.iterdir()) == sorted(FILES)


def test_save_checkpoint__keeps_the_last_two(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        save_step(tmp_path, step)
    assert sorted(entry.name for entry in (tmp_path / "checkpoints").iterdir()) == ["step-00000002", "step-00000010"]


def test_save_checkpoint__a_second_time_at_a_step_replaces_the_first(tmp_path: Path) -> None:
    save_step(tmp_path, 5, value=1.0)
    folder = save_step(tmp_path, 5, value=2.0)
    assert torch.equal(read_checkpoint(folder).weights["weight"], torch.full((1, 2), 2.0))
    assert len(list(folder.parent.iterdir())) == 1


def test_save_checkpoint__clears_away_what_a_killed_run_left(tmp_path: Path) -> None:
    left = tmp_path / "checkpoints" / ".step-00000003.partial"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    assert latest_checkpoint(tmp_path) is None
    save_step(tmp_path, 4)
    assert not left.exists()


def test_save_checkpoint__full_disk_says_what_is_needed_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = save_step(tmp_path, 1)

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"step-00000002.*No space left.*MB are needed"):
        save_step(tmp_path, 2)
    assert list((tmp_path / "checkpoints").iterdir()) == [before]


def test_latest_checkpoint__none_before_the_first(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None


@pytest.mark.parametrize("name", FILES)
def test_read_checkpoint__names_a_missing_file(tmp_path: Path, name: str) -> None:
    folder = save_step(tmp_path, 1)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(folder)


@pytest.mark.parametrize("name", FILES)
def test_read_checkpoint__names_a_truncated_file(tmp_path: Path, name: str) -> None:
    path = save_step(tmp_path, 1) / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(path.parent)


def test_read_checkpoint__the_remedy_knows_whether_there_is_an_earlier_one(tmp_path: Path) -> None:
    for step in (1, 2):
        (save_step(tmp_path, step) / "meta.json").write_text("null")
    for step, remedy in ((1, "train again in another folder"), (2, "continue from the one before it")):
        with pytest.raises(CheckpointError, match=r"meta\.json") as caught:
            read_checkpoint(tmp_path / "checkpoints" / f"step-{step:08d}")
        assert remedy in caught.value.remedy


@pytest.mark.parametrize("name", FILES[:3])
def test_read_checkpoint__names_a_file_with_one_byte_changed(tmp_path: Path, name: str) -> None:
    path = save_step(tmp_path, 1) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(path.parent)


def test_read_checkpoint__refuses_a_state_that_would_run_code(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    module = nn.Linear(2, 1)
    folder = save_checkpoint(tmp_path, Snapshot.take(1, module, {"hostile": Hostile()}, pretrain_recipe(), IDENTITY))
    with pytest.raises(CheckpointError):
        read_checkpoint(folder)
    assert not (tmp_path / "ran").exists()


def names(run: Path) -> list[str]:
    return sorted(entry.name for entry in (run / "checkpoints").iterdir())


def test_save_checkpoint__keeps_the_best_besides_the_last_two(tmp_path: Path) -> None:
    for step, measure in ((1, 50.0), (2, 70.0), (3, 70.0), (4, 60.0), (5, None)):
        save_step(tmp_path, step, measure=measure)
    assert names(tmp_path) == ["step-00000002", "step-00000004", "step-00000005"]
    assert best_checkpoint(tmp_path) == tmp_path / "checkpoints" / "step-00000002"


def test_save_checkpoint__a_damaged_checkpoint_is_not_the_best(tmp_path: Path) -> None:
    folder = save_step(tmp_path, 1, measure=99.0)
    (folder / "meta.json").write_text("{")
    save_step(tmp_path, 2, measure=1.0)
    assert best_checkpoint(tmp_path) == tmp_path / "checkpoints" / "step-00000002"


def test_best_checkpoint__none_where_nothing_was_measured(tmp_path: Path) -> None:
    save_step(tmp_path, 1)
    assert best_checkpoint(tmp_path) is None


def test_snapshot__holds_still_while_training_goes_on() -> None:
    module, moments = nn.Linear(2, 1), torch.zeros(2)
    taken = Snapshot.take(1, module, {"state": [{"moments": moments}]}, pretrain_recipe(), IDENTITY)
    before = module.weight.detach().clone()
    with torch.no_grad():
        module.weight.add_(1)
    moments.add_(1)
    assert torch.equal(taken.weights["weight"], before)
    assert torch.equal(taken.state["state"][0]["moments"], torch.zeros(2))


def test_checkpoint_writer__has_written_when_it_ends(tmp_path: Path) -> None:
    with CheckpointWriter(tmp_path) as writer:
        for step in range(1, 4):
            writer.submit(snapshot(step))
    assert names(tmp_path) == ["step-00000002", "step-00000003"]


def write_where_a_file_stands(run: Path, then: Callable[[CheckpointWriter], object]) -> None:
    (run / "checkpoints").write_text("a file stands in the way")
    with CheckpointWriter(run) as writer:
        writer.submit(snapshot(1))
        then(writer)


@pytest.mark.parametrize("then", [lambda writer: writer.submit(snapshot(2)), CheckpointWriter.wait, id])
def test_checkpoint_writer__raises_what_went_wrong_in_the_thread(
    tmp_path: Path, then: Callable[[CheckpointWriter], object]
) -> None:
    with pytest.raises(OutputError, match="checkpoints"):
        write_where_a_file_stands(tmp_path, then)


def test_checkpoint_writer__an_error_of_training_is_not_hidden_by_its_own(tmp_path: Path) -> None:
    def fail(_writer: CheckpointWriter) -> None:
        raise ValueError("training")

    with pytest.raises(ValueError, match="training"):
        write_where_a_file_stands(tmp_path, fail)


def save_epoch(run: Path, epoch: int | None, step: int, keep_every: int | None = 3) -> Path:
    recipe = pretrain_recipe(keep_every=keep_every)
    return save_checkpoint(run, Snapshot.take(step, nn.Linear(2, 1), {}, recipe, IDENTITY, epoch=epoch))


def test_save_checkpoint__keeps_epochs_for_good(tmp_path: Path) -> None:
    for epoch in range(1, 9):
        save_epoch(tmp_path, epoch, 10 * epoch)
    save_epoch(tmp_path, None, 85)
    assert names(tmp_path) == ["step-00000030", "step-00000060", "step-00000080", "step-00000085"]


def test_save_checkpoint__what_is_kept_stays_when_the_recipe_keeps_others(tmp_path: Path) -> None:
    save_epoch(tmp_path, 3, 30)
    for epoch in range(4, 9):
        save_epoch(tmp_path, epoch, 10 * epoch, keep_every=None)
    assert names(tmp_path) == ["step-00000030", "step-00000070", "step-00000080"]


def test_save_checkpoint__what_cannot_be_read_stays(tmp_path: Path) -> None:
    (save_epoch(tmp_path, 1, 10) / "meta.json").write_text("{")
    for epoch in (2, 4, 5):
        save_epoch(tmp_path, epoch, 10 * epoch)
    assert names(tmp_path) == ["step-00000010", "step-00000040", "step-00000050"]


def test_find_checkpoint__by_epoch_or_name(tmp_path: Path) -> None:
    kept, last = save_epoch(tmp_path, 3, 30), save_epoch(tmp_path, None, 35)
    assert find_checkpoint(tmp_path, "3") == kept
    assert find_checkpoint(tmp_path, "step-00000035") == last


@pytest.mark.parametrize("wanted", ["4", "step-00000036", "", "None", "../step-00000030"])
def test_find_checkpoint__says_what_there_is(tmp_path: Path, wanted: str) -> None:
    save_epoch(tmp_path, 3, 30)
    save_epoch(tmp_path, None, 35)
    with pytest.raises(CheckpointError, match="it has: epoch 3, step-00000035") as caught:
        find_checkpoint(tmp_path, wanted)
    assert "--checkpoint step-00000035" in caught.value.remedy
