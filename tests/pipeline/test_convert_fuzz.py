"""Damaged and hostile files to import: an error, or the numbers of the file, in bounded time and memory."""

import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mamp_pipeline.convert.importer import import_store
from mamp_pipeline.convert.npz import read_npz
from mamp_pipeline.convert.pyskl import read_pyskl
from mamp_schemas.errors import RawInputError
from mamp_schemas.progress import NullProgress
from tests.limited import GIBIBYTE, run_limited
from tests.pipeline.convert_cases import npz_arrays, pad, pyskl_content, write_npz, write_pickle

READ_ALL = """
import hashlib, sys
from functools import partial
from pathlib import Path
from mamp_pipeline.convert.npz import read_npz
from mamp_pipeline.convert.pyskl import read_pyskl
from mamp_schemas.errors import MampctlError
read = {"npz": partial(read_npz, dataset="ntu60", protocol="xsub"), "pkl": partial(read_pyskl, dataset_name="ntu60")}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        source = read[path.suffix[1:]](path)
        digest = hashlib.sha256(repr([source.infos, source.splits]).encode())
        for clip in source.read_clips():
            digest.update(clip.joints.tobytes())
            digest.update(repr((clip.joints.shape, clip.valid_frames, clip.second_slot)).encode())
        print(f"{path.name} {digest.hexdigest()}", flush=True)
    except MampctlError:
        print(f"{path.name} refused", flush=True)
"""


def read_all(folder: Path, seconds: int = 60) -> dict[str, str]:
    """Read every file in a process with limits; return for each a digest of what was read, or `refused`."""
    outcome = run_limited(READ_ALL, folder, seconds=seconds, memory=3 * GIBIBYTE)
    assert outcome.returncode == 0, outcome.stderr[-2000:] + outcome.stdout[-200:]
    return dict(line.split() for line in outcome.stdout.splitlines())


def mutate(whole: bytes, folder: Path, suffix: str, count: int) -> None:
    chance = random.Random(7)
    for number in range(count):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.choice((chance.randrange(len(data)), chance.randrange(600), -1 - chance.randrange(600)))
            data[at] = chance.choice((chance.randrange(256), data[at] ^ 1 << chance.randrange(8)))
        (folder / f"{number}{suffix}").write_bytes(data[: chance.randrange(len(data))] if number % 8 == 0 else data)


def test_read_npz__mutations_are_noticed(tmp_path: Path) -> None:
    arrays = {**npz_arrays([pad(4, seed=1)], [pad(3, "body", seed=2)]), "names_train": np.array(["a"])}
    arrays["names_test"] = np.array(["b"])
    for number, save in enumerate((np.savez, np.savez_compressed)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with (folder / "whole.npz").open("wb") as file:
            save(file, **arrays)  # type: ignore[operator]
        mutate((folder / "whole.npz").read_bytes(), folder, ".npz", 100)
        answers = read_all(folder)
        assert len(answers) == 101
        assert set(answers.values()) == {"refused", answers["whole.npz"]}
        assert list(answers.values()).count("refused") > 40


def test_read_pyskl__mutations_end_in_bounded_time(tmp_path: Path) -> None:
    content = pyskl_content()
    content["annotations"][2]["keypoint"] = content["annotations"][2]["keypoint"][:, :3]
    content["annotations"][2]["total_frames"] = 3
    mutate(pickle.dumps(content, protocol=4), tmp_path, ".pkl", 150)
    answers = read_all(tmp_path)
    assert len(answers) == 150
    assert list(answers.values()).count("refused") > 60


def shared(count: int) -> bytes:
    """Return a pickle whose clips are all the same object, or whose splits are."""
    content: Any = pyskl_content()
    content["annotations"] = [content["annotations"][0]] * count
    content["split"] = dict.fromkeys(map(str, range(count)), ["S001C001P001R001A001"] * count)
    return pickle.dumps(content, protocol=4)


def test_read__small_files_that_claim_much_are_refused(tmp_path: Path) -> None:
    def npz(name: str, **members: bytes) -> None:
        with zipfile.ZipFile(tmp_path / f"{name}.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for key, value in members.items():
                archive.writestr(f"{key}.npy", value)

    def header(text: str) -> bytes:
        return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode()

    whole = npz_arrays([pad(4, seed=1)], [pad(3, seed=2)])
    npz("minus", x_train=header("-" * 9000 + "1"))
    npz("brackets", x_train=header("[" * 9000))
    npz("power", x_train=header("{'descr': '<f4', 'fortran_order': False, 'shape': (10**10, 300, 150), }"))
    npz("width", x_train=header("{'descr': '<U999999', 'fortran_order': False, 'shape': (1,), }"))
    labels = header("{'descr': '|b1', 'fortran_order': False, 'shape': (1, 2000000000), }") + b"\0" * 50_000_000
    npz("classes", **{key: npy_bytes(array) for key, array in whole.items() if key != "y_train"}, y_train=labels)
    (tmp_path / "shared.pkl").write_bytes(shared(3000))
    assert set(read_all(tmp_path).values()) == {"refused"}


def npy_bytes(array: np.ndarray[Any, Any]) -> bytes:
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    text = repr(header)
    return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode() + array.tobytes()


def test_read_npz__an_array_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "f.npz", npz_arrays([pad(4)], [pad(3)]))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", npy_bytes(npz_arrays([pad(4, seed=5)], [])["x_train"]))
    with pytest.raises(RawInputError, match="has 'x_train' twice"):
        read_npz(path, "ntu60", "xsub")


def test_read_npz__arrays_that_are_not_read_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    arrays = {**npz_arrays([pad(4)], [pad(3)]), "x_val": np.zeros(3), "y_val": np.zeros(3)}
    read_npz(write_npz(tmp_path / "f.npz", arrays), "ntu60", "xsub")
    assert "f.npz: 2 others are not read: 'x_val', 'y_val'" in caplog.text


@pytest.mark.parametrize("kind", ["npz", "pkl"])
def test_import__a_file_that_is_replaced_meanwhile_is_refused(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / f"f.{kind}", tmp_path / f"other.{kind}"
    if kind == "npz":
        write_npz(path, npz_arrays([pad(4, seed=1)], [pad(3)]))
        write_npz(other, npz_arrays([pad(4, seed=2)], [pad(3)]))
        source = read_npz(path, "ntu60", "xsub")
    else:
        write_pickle(path, pyskl_content())
        write_pickle(other, pyskl_content())
        source = read_pyskl(path, "ntu60")
    other.replace(path)
    with pytest.raises(RawInputError, match="was replaced or written to while it was read"):
        import_store(source, tmp_path / "out.zarr", NullProgress())
    assert not list(tmp_path.glob("out.zarr*"))
