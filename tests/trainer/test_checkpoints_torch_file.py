"""Files of `torch.save` are read as torch reads them; hostile and damaged ones are refused, in bounded time."""

import io
import random
import zipfile
import zlib

import pytest
import torch

from mamp_schemas.errors import CheckpointError
from mamp_trainer.checkpoints.released import load_released
from mamp_trainer.checkpoints.torch_file import read_torch_file
from tests.limited import GIBIBYTE, run_limited
from tests.trainer.golden_model import official_weights


def saved(content, zipped=True):
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def with_pickle(data, *, compress=False, name="data/0", content=b"\0" * 8):
    """Return a file of torch.save with another pickle in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for member, value in (("data.pkl", data), ("byteorder", b"little"), (name, content), ("version", b"3\n")):
            archive.writestr(f"archive/{member}", value)
    return file.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
def test_read_torch_file__equals_torch_load(zipped):
    base = torch.arange(24.0).reshape(4, 6)
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    optimiser.param_groups[0]["params"][0].grad = torch.ones(3)
    optimiser.step()
    content = {
        "views": [base, base.T, base[1:3, ::2], base[0, 0]],
        "types": [torch.ones(2, dtype=kind) for kind in (torch.float64, torch.float16, torch.bfloat16, torch.int64)],
        "bytes": [torch.get_rng_state(), torch.tensor([True, False]), torch.empty(0), torch.empty(0, 3)],
        "optimiser": optimiser.state_dict(),
        "plain": [1, 2**100, -1.5, "text", b"bytes", None, True, (1, (2, [3]))],
    }
    data = saved(content, zipped)

    found = read_torch_file(data)

    expected = torch.load(io.BytesIO(data), weights_only=True)
    for key in ("views", "types", "bytes"):
        for got, tensor in zip(found[key], expected[key], strict=True):
            assert (got.dtype, got.shape, got.stride()) == (tensor.dtype, tensor.shape, tensor.stride())
            assert torch.equal(got, tensor)
    assert found["plain"] == expected["plain"]
    assert found["optimiser"]["param_groups"] == expected["optimiser"]["param_groups"]
    assert torch.equal(found["optimiser"]["state"][0]["exp_avg"], expected["optimiser"]["state"][0]["exp_avg"])


TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\2tQK\0"
HOSTILE = {
    "tuples.pth": with_pickle(b"\x80\x02}N" + b"q\0h\0\x86" * 400 + b"Ns."),
    "deep.pth": with_pickle(b"\x80\x02}N" + b"\x85" * 500_000 + b"Ns."),
    "set.pth": with_pickle(b"\x80\x02cbuiltins\nset\n(N" + b"q\0h\0\x86" * 400 + b"\x85t\x85R."),
    "bytearray.pth": with_pickle(b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\0\0\0\0\0\1\x85R."),
    "expanded.pth": with_pickle(b"\x80\x02" + TENSOR + STORAGE + b"\x8a\5\0\0\0\0\1\x85K\0\x85\x89NtR."),
    "outside.pth": with_pickle(b"\x80\x02" + TENSOR + STORAGE + b"K\2\x85\x8a\4\0\0\0\1\x85\x89NtR."),
    "compressed.pth": with_pickle(saved({}), compress=True, name="x", content=b"\0" * 50_000_000),
    "claims.pth": with_pickle(b"\x80\x02}.").replace(b"\x08\0\0\0\x08\0\0\0", b"\x08\0\0\0\xff\xff\xff\x7f"),
    "folder.pth": with_pickle(b"\x80\x02" + TENSOR + STORAGE.replace(b"\1\0\0\x000", b"\x0a\0\0\0../data.pkl") + b"."),
    "legacy.pth": saved({}, zipped=False)[:-1] + b"N" + b"\x85" * 500_000 + b".",
    "plain.pth": b"\x80\x02}N" + b"q\0h\0\x86" * 400 + b"Ns.",
}

READ_ALL = """
import sys
from pathlib import Path
from mamp_schemas.errors import CheckpointError
from mamp_trainer.checkpoints.released import load_released
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        load_released(path)
        print(f"{path.name} read", flush=True)
    except CheckpointError as error:
        print(f"{path.name} refused", flush=True)
"""


def test_load_released__time_and_memory_are_bounded(tmp_path):
    for name, data in HOSTILE.items():
        (tmp_path / name).write_bytes(data)
    outcome = run_limited(READ_ALL, tmp_path, seconds=120, memory=6 * GIBIBYTE)
    assert outcome.returncode == 0, outcome.stderr[-2000:] + outcome.stdout[-500:]
    assert outcome.stdout.splitlines() == [f"{name} refused" for name in sorted(HOSTILE)]


@pytest.mark.parametrize("zipped", [True, False])
def test_load_released__mutations_give_the_same_numbers_or_an_error(tmp_path, zipped):
    weights = {name: tensor.float() for name, tensor in official_weights().items()}
    whole = saved({"model": weights}, zipped)
    expected = load_released_bytes(tmp_path, whole)
    chance, refused = random.Random(1), 0
    for number in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.choice((chance.randrange(len(data)), chance.randrange(4000), -1 - chance.randrange(4000)))
            data[at] = chance.randrange(256)
        try:
            found = load_released_bytes(
                tmp_path, bytes(data[: chance.randrange(len(data))] if number % 5 == 0 else data)
            )
        except CheckpointError:
            refused += 1
            continue
        assert zipped or len(found) == len(expected)  # the format before torch 1.6 has no checksums
        if zipped:
            assert set(found) <= set(expected)
            assert all(torch.equal(found[name], expected[name]) for name in found)
    assert refused > 40


def load_released_bytes(folder, data):
    path = folder / "w.pth"
    path.write_bytes(data)
    return load_released(path, tell=False)


def test_read_torch_file__a_changed_weight_is_found_by_its_checksum():
    data = bytearray(saved({"w": torch.full((1000,), 1.25)}))
    at = data.index(b"\0\0\xa0\x3f" * 100) + 40
    data[at + 2] ^= 1
    with pytest.raises((zipfile.BadZipFile, zlib.error), match="CRC"):
        read_torch_file(bytes(data))
