import argparse
import collections
import datetime
import math
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from mamp_schemas.errors import CheckpointError
from mamp_schemas.models.objectives import MaskingSpec
from mamp_trainer.checkpoints.load import load_encoder
from mamp_trainer.checkpoints.released import from_released, load_released, resize_segments
from mamp_trainer.models.mamp import MAMP
from tests.trainer.golden_model import SPEC, official_weights, to_released


class Trap:
    """Makes a folder when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def released(tmp_path):
    path = tmp_path / "released.pth"
    settings = argparse.Namespace(lr=1e-3, betas=(0.9, 0.95), device="cuda", resume=None)
    torch.save({"model": official_weights(), "epoch": 399, "args": settings}, path)
    return path


def test_from_released__gives_the_names_of_the_model():
    model = MAMP(SPEC, MaskingSpec())

    assert from_released(official_weights()).keys() == model.state_dict().keys()


def test_from_released__embedding_equals_the_convolution():
    weights = official_weights()
    x = torch.randn(2, 3, 24, 25, dtype=torch.float64)

    kernel = from_released(weights)["encoder.joints_embed.proj.weight"]
    convolved = torch.conv2d(x, weights["joints_embed.proj.weight"], stride=(4, 1))

    segments = x.unflatten(2, (6, 4)).permute(0, 2, 4, 3, 1).flatten(3)
    torch.testing.assert_close(segments @ kernel.T, convolved.permute(0, 2, 3, 1))


def test_to_released__undoes_from_official():
    weights = {**official_weights(), **official_weights("finetune/")}

    again = to_released(from_released(weights))

    assert again.keys() == weights.keys()
    assert all(torch.equal(again[name], weights[name]) for name in weights)


def test_load_released__reads_a_file_with_a_namespace(released):
    ours, expected = load_released(released), from_released(official_weights())

    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in expected)


def test_load_released__takes_weights_in_memory():
    assert load_released(official_weights()).keys() == from_released(official_weights()).keys()


def test_load_released__takes_an_encoder_with_a_head():
    weights = {name: value for name, value in official_weights().items() if not name.startswith("decoder_")}

    ours = load_released({**weights, **official_weights("finetune/")})

    assert torch.equal(ours["head.fc1.weight"], official_weights("finetune/")["head.fc1.weight"])


@pytest.mark.parametrize("zipped", [True, False])
def test_load_released__refuses_a_pickle_that_runs_code(tmp_path, zipped):
    path, trap = tmp_path / "hostile.pth", tmp_path / "sprung"
    torch.save({"model": {}, "x": Trap(trap)}, path, _use_new_zipfile_serialization=zipped)

    with pytest.raises(CheckpointError, match=rf"hostile\.pth: refused: it asks for {os.name}\.mkdir"):
        load_released(path)
    assert not trap.exists()


def test_load_released__refuses_a_harmless_class_by_name(tmp_path):
    path = tmp_path / "module.pth"
    torch.save({"model": {}, "x": torch.nn.Identity()}, path)

    with pytest.raises(CheckpointError, match=r"asks for torch\.nn\.modules\.linear\.Identity"):
        load_released(path)


def test_load_released__refuses_a_bare_pickle(tmp_path):
    path, trap = tmp_path / "bare.pth", tmp_path / "sprung"
    path.write_bytes(pickle.dumps({"model": Trap(trap)}))

    with pytest.raises(CheckpointError, match="refused"):
        load_released(path)
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"hello world", b"PK\x03\x04"])
def test_load_released__names_a_file_that_is_no_checkpoint(tmp_path, content):
    path = tmp_path / "text.pth"
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=r"text\.pth: not a checkpoint, or damaged"):
        load_released(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_load_released__names_a_file_cut_off(released, share):
    whole = released.read_bytes()
    released.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(CheckpointError, match="damaged"):
        load_released(released)


def test_load_released__names_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.pth: No such file"):
        load_released(tmp_path / "none.pth")


@pytest.mark.parametrize(
    "content", [{"state": 1}, {"model": [1]}, {"model": {"a": 1}}, {"model": {1: torch.zeros(1)}}, [1]]
)
def test_load_released__says_what_a_file_holds_instead(tmp_path, content):
    path = tmp_path / "other.pth"
    torch.save(content, path)

    with pytest.raises(
        CheckpointError, match=r"holds no weights of this network: .* found (list|'(state|model)': (list|int|dict))"
    ):
        load_released(path)


@pytest.mark.parametrize("shape", [(32, 12), (32, 2, 4, 1), (32, 3, 4, 5)])
def test_load_released__names_an_embedding_of_another_shape(shape):
    weights = {**official_weights(), "joints_embed.proj.weight": torch.zeros(shape)}
    got = re.escape(f"joints_embed.proj.weight: got shape {shape}, expected shape (width, 3, segment, 1)")

    with pytest.raises(CheckpointError, match=got):
        load_released(weights)


def test_load_released__names_the_file_of_foreign_weights(tmp_path):
    path = tmp_path / "foreign.pth"
    torch.save({"model": {"conv1.weight": torch.zeros(1)}}, path)

    with pytest.raises(
        CheckpointError, match=r"foreign\.pth: holds no weights .* the first is 'conv1\.weight': tensor \(1,\)"
    ):
        load_released(path)


NESTS = {"at the top of the file": lambda weights: weights} | {
    f"under '{key}'": lambda weights, key=key: {key: weights, "epoch": 3}
    for key in ("state_dict", "model_state_dict", "net", "encoder")
}


@pytest.mark.parametrize("where", NESTS)
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module.encoder.", "backbone.net."])
def test_load_released__finds_weights_under_other_keys_and_prefixes(tmp_path, caplog, where, prefix):
    weights = {f"{prefix}{name}": tensor for name, tensor in official_weights().items()}
    torch.save(NESTS[where](weights), tmp_path / "w.pth")
    caplog.set_level("INFO")

    ours, expected = load_released(tmp_path / "w.pth"), from_released(official_weights())

    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in expected)
    assert where in caplog.text
    assert not prefix or f"left the prefix '{prefix}' out" in caplog.text


def test_load_released__reads_weights_under_our_names_and_safetensors(tmp_path):
    model = MAMP(SPEC, MaskingSpec())
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in model.state_dict().items()}}, tmp_path / "a.pt"
    )
    safetensors.torch.save_file(to_released(model.state_dict()), tmp_path / "b.safetensors")

    for name in ("a.pt", "b.safetensors"):
        ours = load_released(tmp_path / name)
        assert ours.keys() == model.state_dict().keys()
        assert all(torch.equal(ours[name], value) for name, value in model.state_dict().items())


def test_load_released__settings_beside_the_weights_are_not_read(tmp_path):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    counts = collections.defaultdict(list, a=[1])
    beside = {
        "optimiser": optimiser,
        "counts": counts,
        "best": np.float64(3),
        "scores": np.arange(3),
        "out": Path("x"),
        "when": datetime.date(2024, 1, 1),
    }
    for zipped in (True, False):
        content = {"model": collections.OrderedDict(official_weights()), **beside}
        torch.save(content, tmp_path / "n.pth", _use_new_zipfile_serialization=zipped)
        ours, expected = load_released(tmp_path / "n.pth"), from_released(official_weights())
        assert all(torch.equal(ours[name], expected[name]) for name in expected)


def test_load_released__what_is_left_out_is_told(tmp_path, caplog):
    weights = {f"module.{name}": tensor for name, tensor in official_weights().items()}
    torch.save({**weights, "criterion.scale": torch.ones(1)}, tmp_path / "w.pth")

    load_released(tmp_path / "w.pth")

    assert "1 tensors are not read: they have another prefix, the first is 'criterion.scale'" in caplog.text


def test_load_released__takes_the_authors_key_of_several(tmp_path):
    other = {name: tensor + 1 for name, tensor in official_weights().items()}
    torch.save({"model_ema": other, "model": official_weights()}, tmp_path / "w.pth")

    assert torch.equal(load_released(tmp_path / "w.pth")["encoder.norm.bias"], official_weights()["norm.bias"])


@pytest.mark.parametrize("nested", [True, False])
def test_load_released__of_several_networks_the_remedy_saves_one(tmp_path, monkeypatch, nested):
    monkeypatch.chdir(tmp_path)
    first, second = official_weights(), {name: tensor + 1 for name, tensor in official_weights().items()}
    together = {f"{key}.{name}": tensor for key, each in (("q", first), ("k", second)) for name, tensor in each.items()}
    torch.save({"student": first, "teacher": second} if nested else {"state_dict": together}, tmp_path / "w.pth")

    with pytest.raises(CheckpointError, match="holds the weights of 2 networks") as caught:
        load_released(tmp_path / "w.pth")
    exec(caught.value.remedy.partition("in Python: ")[2], {})

    ours, expected = load_released(tmp_path / "weights.pth"), from_released(first)
    assert all(torch.equal(ours[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensor: tensor.fill_(math.nan), "not finite"),
        (lambda tensor: tensor.to(torch.int8), "is of type torch.int8"),
    ],
)
def test_load_released__numbers_that_are_no_weights_are_refused(tmp_path, change, message):
    weights = official_weights()
    torch.save({"model": {**weights, "norm.bias": change(weights["norm.bias"].clone())}}, tmp_path / "w.pth")

    with pytest.raises(CheckpointError, match=rf"'encoder\.norm\.bias' .*{message}"):
        load_released(tmp_path / "w.pth")


def test_load_released__rounding_is_told(tmp_path, caplog):
    weights = {name: tensor.float() for name, tensor in official_weights().items()}
    weights["norm.bias"] = torch.full((32,), 0.1, dtype=torch.float64)
    torch.save({"model": weights}, tmp_path / "w.pth")

    load_released(tmp_path / "w.pth")

    assert "1 tensors are rounded from float64 to float32, the first is 'encoder.norm.bias'" in caplog.text


def test_load_encoder__the_remedy_names_the_settings_that_fit(released):
    spec = SPEC.replaced(width=16, heads=2, depth=SPEC.depth + 1, segment=6, joints=20, mlp_ratio=3)
    with pytest.raises(CheckpointError) as caught:
        load_encoder(released, spec)

    settings = dict(re.findall(r"--set model\.(\w+)=(\d+)", caught.value.remedy))
    assert settings.keys() >= {"width", "depth", "segment", "joints", "mlp_ratio"}
    load_encoder(released, spec.replaced(**{key: int(value) for key, value in settings.items()}))


@pytest.mark.parametrize(
    ("change", "tensor", "got", "expected"),
    [
        ({"segment": 6}, "joints_embed.proj.weight", (32, 12), (32, 18)),
        ({"joints": 20}, "pos_embed", (1, 1, 25, 32), (1, 1, 20, 32)),
    ],
)
def test_load_encoder__names_the_released_tensor_that_does_not_fit(released, change, tensor, got, expected):
    with pytest.raises(CheckpointError) as caught:
        load_encoder(released, SPEC.replaced(**change))

    assert all(fact in caught.value.message for fact in (str(released), tensor, str(got), str(expected)))


def cubic(distance: float) -> float:
    """The weight of a neighbour in cubic convolution with a = -0.75, as torch has it."""
    x, a = abs(distance), -0.75
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


@pytest.mark.parametrize("segments", [3, 5, 6, 7, 30])
def test_resize_segments__is_cubic_convolution_at_half_pixel_centres(segments):
    embedding = torch.randn(1, 6, 1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    resized = resize_segments(embedding, segments)

    expected = torch.zeros(1, segments, 1, 4, dtype=torch.float64)
    for at in range(segments):
        centre = (at + 0.5) * 6 / segments - 0.5
        for near in range(math.floor(centre) - 1, math.floor(centre) + 3):
            expected[:, at] += cubic(centre - near) * embedding[:, min(max(near, 0), 5)]
    torch.testing.assert_close(resized, expected, atol=1e-12, rtol=0)


def test_load_encoder__meets_another_length_with_a_warning(released, caplog):
    weights = load_encoder(released, SPEC.replaced(frames=120))

    theirs = official_weights()["temp_embed"].permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(theirs, size=(30, 1), mode="bicubic", align_corners=False)
    assert torch.equal(weights["temp_embed"], resized.permute(0, 2, 3, 1))
    (message,) = (message for message in caplog.messages if "rounded" not in message)
    assert re.search(r"released\.pth was trained at 6 segments, .* are 30", message)
    unchanged = load_encoder(released, SPEC)
    assert all(torch.equal(weights[name], unchanged[name]) for name in unchanged if name != "temp_embed")


def test_load_encoder__a_fifo_is_neither_folder_nor_file(tmp_path):
    os.mkfifo(tmp_path / "r.pth")
    with pytest.raises(CheckpointError, match="neither a folder nor an ordinary file"):
        load_encoder(tmp_path / "r.pth", SPEC)


def test_load_encoder__an_empty_embedding_is_refused(tmp_path):
    torch.save({"model": {**official_weights(), "temp_embed": torch.zeros(1, 0, 1, 32)}}, tmp_path / "r.pth")
    with pytest.raises(CheckpointError, match="'temp_embed' has shape"):
        load_encoder(tmp_path / "r.pth", SPEC)


def test_load_encoder__of_its_own_length_says_nothing(tmp_path, caplog):
    weights = {name: tensor.float() for name, tensor in official_weights().items()}
    torch.save({"model": weights}, tmp_path / "r.pth")
    assert torch.equal(load_encoder(tmp_path / "r.pth", SPEC)["temp_embed"], weights["temp_embed"])
    assert caplog.messages == []


def test_load_encoder__another_width_is_not_met_by_interpolation(released):
    with pytest.raises(CheckpointError, match="does not fit"):
        load_encoder(released, SPEC.replaced(frames=120, width=16, heads=2))
