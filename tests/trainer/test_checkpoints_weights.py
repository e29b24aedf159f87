import argparse
from pathlib import Path

import pytest
import torch
from torch import nn

from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.run_files import UNTRAINED
from mamp_schemas.models.objectives import MaskingSpec
from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.checkpoints.files import RunIdentity, Snapshot
from mamp_trainer.checkpoints.load import load_encoder, load_exact, weights_digest
from mamp_trainer.checkpoints.manager import save_checkpoint
from mamp_trainer.models.mamp import MAMP, Encoder
from tests.trainer.golden_model import to_released
from tests.trainer.runs import MODEL, pretrain_recipe

IDENTITY = RunIdentity(task="pretrain", store_hash="a" * 64, manifest_hash="b" * 64, encoder=UNTRAINED)


def save_mamp(run: Path, spec: ModelSpec = MODEL, step: int = 1) -> MAMP:
    model = MAMP(spec, MaskingSpec())
    save_checkpoint(run, Snapshot.take(step, model, {}, pretrain_recipe(), IDENTITY))
    return model


def assert_encoder(found: dict[str, torch.Tensor], model: MAMP) -> None:
    expected = model.encoder.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_load_encoder__of_a_run_is_its_latest(tmp_path: Path) -> None:
    save_mamp(tmp_path, step=1)
    second = save_mamp(tmp_path, step=2)
    assert_encoder(load_encoder(tmp_path, MODEL), second)


def test_load_encoder__of_a_checkpoint_folder(tmp_path: Path) -> None:
    first = save_mamp(tmp_path, step=1)
    save_mamp(tmp_path, step=2)
    assert_encoder(load_encoder(tmp_path / "checkpoints" / "step-00000001", MODEL), first)


def test_load_encoder__of_a_released_file_whatever_its_decoder(tmp_path: Path) -> None:
    model = MAMP(MODEL.replaced(decoder_depth=3), MaskingSpec())
    torch.save({"model": to_released(model.state_dict()), "args": argparse.Namespace(lr=0.1)}, tmp_path / "r.pth")
    assert_encoder(load_encoder(tmp_path / "r.pth", MODEL), model)


def test_load_encoder__another_shape_names_tensor_got_and_expected(tmp_path: Path) -> None:
    save_mamp(tmp_path, MODEL.replaced(frames=32))
    with pytest.raises(CheckpointError, match=r"'temp_embed' has shape \(1, 8, 1, 16\).*expects \(1, 4, 1, 16\)"):
        load_encoder(tmp_path, MODEL)


def test_load_encoder__of_another_input_is_refused(tmp_path: Path) -> None:
    save_mamp(tmp_path)
    with pytest.raises(CheckpointError, match=r"saw model\.input joint, the recipe's is motion"):
        load_encoder(tmp_path, MODEL.replaced(input="motion"))


def test_load_encoder__a_deeper_encoder_is_refused(tmp_path: Path) -> None:
    save_mamp(tmp_path, MODEL.replaced(depth=2))
    with pytest.raises(CheckpointError, match=r"not the model's.*blocks\.1"):
        load_encoder(tmp_path, MODEL)


def test_load_encoder__nothing_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no such run or checkpoint: .*absent"):
        load_encoder(tmp_path / "absent", MODEL)


def test_load_exact__a_missing_tensor_is_named_and_nothing_loaded() -> None:
    module = nn.Linear(2, 2)
    before = module.weight.clone()
    with pytest.raises(CheckpointError, match="'bias'"):
        load_exact(module, {"weight": torch.zeros(2, 2)}, "here")
    assert torch.equal(module.weight, before)


def test_weights_digest__tells_one_value_apart() -> None:
    encoder = Encoder(MODEL)
    before = weights_digest(encoder.state_dict())
    assert weights_digest(encoder.state_dict()) == before
    with torch.no_grad():
        encoder.norm.bias[0] = 1e-7
    assert weights_digest(encoder.state_dict()) != before
