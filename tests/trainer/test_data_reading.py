from pathlib import Path

import numpy as np
import pytest
import torch

from mamp_schemas.errors import DamagedStoreError
from mamp_schemas.io.store_reader import open_store
from mamp_trainer.data.clips import ClipTable, store_clip_table
from mamp_trainer.data.rows import RowBuffer
from mamp_trainer.data.streaming import load_all_rows
from tests.trainer.stores import Clip, make_clips, write_store

CPU = torch.device("cpu")
SHAPES = [(1, 40), (2, 130), (1, 7), (2, 1), (1, 300), (2, 9)]
CLIPS = make_clips(SHAPES)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("data") / "ntu60.zarr", CLIPS)


def load_clips(path: Path, clips: list[int], with_motion: bool = False) -> tuple[ClipTable, RowBuffer]:
    store = open_store(path)
    table = store_clip_table(store, np.array(clips))
    return table, load_all_rows(store, table, CPU, with_motion).buffer


def rows_of(table: ClipTable, buffer: RowBuffer, values: torch.Tensor, index: int) -> np.ndarray:
    first = int(buffer.offset[table.shard[index]] + table.packed_row[index])
    frames, bodies = int(table.frames[index]), int(table.bodies[index])
    return values[first : first + frames * bodies].transpose(1, 2).reshape(bodies, frames, 25, 3).numpy()


@pytest.mark.parametrize("clips", [[0, 1, 2, 3, 4, 5], [1, 3, 4], [2], [5, 0]])
def test_load_all_rows__packs_the_selected_clips(path: Path, clips: list[int]) -> None:
    table, buffer = load_clips(path, clips)
    assert buffer.joints.shape[0] == sum(bodies * frames for bodies, frames in (SHAPES[clip] for clip in clips))
    for index, clip in enumerate(clips):
        assert np.array_equal(rows_of(table, buffer, buffer.joints, index), CLIPS[clip].joints)
        assert int(table.label[index]) == CLIPS[clip].label


def test_load_all_rows__leaves_motion_out_unless_asked(path: Path) -> None:
    assert load_clips(path, [0])[1].trajectory is None


def test_load_all_rows__trajectory_is_the_joints_from_each_bodys_first_frame(path: Path) -> None:
    table, buffer = load_clips(path, list(range(6)), with_motion=True)
    assert buffer.trajectory is not None
    for index, clip in enumerate(CLIPS):
        trajectory = rows_of(table, buffer, buffer.trajectory, index)
        expected = clip.joints.astype(np.float64) - clip.joints[:, :1]
        # Every stored difference is rounded once, the sum once more; none of them exceeds twice the largest joint.
        bound = (clip.joints.shape[1] + 1) * 2**-24 * 2 * np.abs(clip.joints).max()
        assert np.abs(trajectory - expected).max() <= bound


def test_load_all_rows__trajectory_does_not_depend_on_the_other_clips(path: Path) -> None:
    (table, together), (single, alone) = load_clips(path, list(range(6)), True), load_clips(path, [4], True)
    assert together.trajectory is not None
    assert alone.trajectory is not None
    expected = rows_of(single, alone, alone.trajectory, 0)
    assert np.array_equal(rows_of(table, together, together.trajectory, 4), expected)


def test_load_all_rows__reads_every_shard_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[tuple[str, int, int]] = []
    store = open_store(path)
    original = type(store).read_rows

    def record(self: object, name: str, start: int, stop: int) -> np.ndarray:
        reads.append((name, start, stop))
        return original(store, name, start, stop)

    monkeypatch.setattr(type(store), "read_rows", record)
    load_all_rows(store, store_clip_table(store, np.array([0, 2, 4, 5])), CPU, with_motion=False)
    # Shards hold 32 rows, the clips begin at rows 0, 300, 309 and 609: the second and the third in the same shard.
    assert reads == [("joints", 0, 40), ("joints", 300, 609), ("joints", 609, 627)]


def test_load_all_rows__a_vanished_shard_stops_it(tmp_path: Path) -> None:
    path = write_store(tmp_path / "ntu60.zarr", CLIPS[:1])
    (path / "joints" / "c" / "1" / "0" / "0").unlink()
    with pytest.raises(DamagedStoreError, match="'joints'"):
        load_clips(path, [0])


def test_load_all_rows__clips_need_not_lie_in_the_order_of_their_ids(tmp_path: Path) -> None:
    path = write_store(tmp_path / "ntu60.zarr", [Clip("a", CLIPS[0].joints), Clip("b", CLIPS[2].joints)])
    store = open_store(path)
    for name, values in {"first_row": [7, 0], "frames": [40, 7]}.items():
        store.columns[name] = np.array(values)
    store.columns["valid_frames"] = np.array([40, 7])
    buffer = load_all_rows(store, store_clip_table(store, np.array([0])), CPU, with_motion=False).buffer
    assert np.array_equal(
        buffer.joints.transpose(1, 2).numpy(), np.concatenate([CLIPS[0].joints[0, 7:], CLIPS[2].joints[0]])
    )
