import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import interpolate

from mamp_schemas.models.recipe import SamplingSpec
from mamp_trainer.data import augment

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "transforms.npz")
CROPS = sorted({key.split("/")[0] for key in GOLDEN.files if key.endswith("/in")})
BELOW_ONE = 1 - 2.0**-24


def golden_crop(case: str) -> tuple[Tensor, Tensor]:
    if f"{case}/p" in GOLDEN:
        return augment.centre_crop(torch.tensor([int(GOLDEN[f"{case}/valid"])]), float(GOLDEN[f"{case}/p"]))
    start, length = torch.from_numpy(GOLDEN[f"{case}/start_len"])
    return start[None], length[None]


@pytest.mark.parametrize("case", CROPS)
def test_gather_lerp__equals_golden(case: str) -> None:
    clip = torch.from_numpy(GOLDEN[f"{case}/in"])
    rows = clip.permute(3, 1, 2, 0).flatten(0, 1)
    first = torch.tensor([[0, clip.shape[1]]])
    found = augment.gather_lerp(rows, first, first >= 0, augment.resize_points(*golden_crop(case), 120))
    expected = torch.from_numpy(GOLDEN[f"{case}/out"]).permute(3, 1, 2, 0)[None]
    assert torch.equal(found, expected)


def test_rotation_matrices__equal_golden() -> None:
    found = augment.rotation_matrices(torch.from_numpy(GOLDEN["rot/angles"]).double())
    assert float((found - torch.from_numpy(GOLDEN["rot/matrix"])).abs().max()) < 1e-6


def test_rotate_rows__applies_the_matrix_to_the_points_of_the_chosen_rows() -> None:
    rows = torch.randn(6, 3, 5, generator=torch.Generator().manual_seed(0))
    matrix, index = torch.from_numpy(GOLDEN["rot/matrix"]), torch.tensor([5, 0, 0, 3])
    expected = torch.einsum("nij,njv->niv", matrix.double(), rows[index].double())
    found = augment.rotate_rows(rows, index, matrix)
    assert float((found - expected).abs().max()) < 8 * 2**-24 * float(rows.abs().max())


def test_random_rotations__spans_the_bound_on_either_side() -> None:
    low, high = torch.zeros(1, 3), torch.full((1, 3), BELOW_ONE)
    extreme = torch.full((1, 3), 0.3, dtype=torch.float64)
    assert torch.allclose(augment.random_rotations(low, 0.3), augment.rotation_matrices(-extreme).float(), atol=1e-6)
    assert torch.allclose(augment.random_rotations(high, 0.3), augment.rotation_matrices(extreme).float(), atol=1e-6)
    assert torch.equal(augment.random_rotations(torch.rand(2, 3), 0.0), torch.eye(3).expand(2, 3, 3))


unit = st.integers(0, 2**24 - 1).map(lambda bits: bits / 2**24)


@given(st.lists(st.tuples(st.integers(1, 400), unit, unit), min_size=1, max_size=20))
def test_random_crop__equals_the_formula_clip_by_clip(draws: list[tuple[int, float, float]]) -> None:
    valid = torch.tensor([frames for frames, _, _ in draws])
    u = torch.tensor([[share, place] for _, share, place in draws])
    start, length = augment.random_crop(valid, u, SamplingSpec())
    for (frames, share, place), first, count in zip(draws, start.tolist(), length.tolist(), strict=True):
        assert count == min(max(math.floor(frames * (0.5 + 0.5 * share)), 64), frames)
        assert first == math.floor(place * (frames - count + 1))
        assert 0 <= first <= frames - count


def test_random_crop__start_reaches_both_ends() -> None:
    u = torch.tensor([[0.0, 0.0], [0.0, BELOW_ONE]])
    start, length = augment.random_crop(torch.tensor([200, 200]), u, SamplingSpec())
    assert length.tolist() == [100, 100]
    assert start.tolist() == [0, 100]


@given(st.integers(1, 1000), st.sampled_from([0.9, 0.95, 0.5, 0.01, 1.0]))
def test_centre_crop__cuts_as_python_computes(valid: int, share: float) -> None:
    start, length = augment.centre_crop(torch.tensor([valid]), share)
    cut = int((1 - share) * valid / 2)
    assert (int(start), int(length)) == (cut, valid - 2 * cut)
    assert int(length) >= 1


@given(st.integers(1, 400), st.integers(0, 50), st.integers(1, 150))
def test_resize_points__equals_interpolate(length: int, start: int, frames: int) -> None:
    clip = torch.randn(start + length + 3, 3, 5, generator=torch.Generator().manual_seed(length))
    points = augment.resize_points(torch.tensor([start]), torch.tensor([length]), frames)
    first = torch.zeros(1, 1, dtype=torch.int64)
    found = augment.gather_lerp(clip, first, first == 0, points)[0, 0]
    lines = clip[start : start + length].permute(1, 2, 0).flatten(0, 1)
    expected = interpolate(lines[None, None], size=(15, frames), mode="bilinear", align_corners=False)
    assert torch.equal(found.permute(1, 2, 0).flatten(0, 1), expected[0, 0])


@given(st.integers(1, 400), st.integers(0, 50))
def test_resize_points__stays_inside_the_crop(length: int, start: int) -> None:
    points = augment.resize_points(torch.tensor([start]), torch.tensor([length]), 120)
    assert int(points.before.min()) >= start
    assert int(points.after.max()) < start + length
    assert bool(((points.weight >= 0) & (points.weight < 1)).all())


@given(st.integers(1, 120))
def test_resize_points__lengthened_clips_keep_both_ends(length: int) -> None:
    points = augment.resize_points(torch.tensor([5]), torch.tensor([length]), 120)
    assert int(points.before[0, 0]) == 5
    assert int(points.after[0, -1]) == 5 + length - 1


def test_resize_points__as_many_frames_are_kept_as_they_are() -> None:
    points = augment.resize_points(torch.tensor([7]), torch.tensor([120]), 120)
    assert points.before.tolist() == [list(range(7, 127))]
    assert not points.weight.any()


def test_gather_lerp__does_not_depend_on_the_batch() -> None:
    rows = torch.randn(500, 3, 5, generator=torch.Generator().manual_seed(0))
    start, length = torch.tensor([0, 3, 50]), torch.tensor([70, 41, 100])
    first = torch.tensor([[0, 100], [200, 0], [250, 251]])

    def sample(chosen: slice) -> Tensor:
        points = augment.resize_points(start[chosen], length[chosen], 37)
        return augment.gather_lerp(rows, first[chosen], first[chosen] > 0, points)

    assert torch.equal(sample(slice(3)), torch.cat([sample(slice(at, at + 1)) for at in range(3)]))


def test_rotate_rows__does_not_depend_on_the_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, index = torch.randn(500, 3, 5, generator=generator), torch.randint(500, (40,), generator=generator)
    rotation = augment.random_rotations(torch.rand(40, 3, generator=generator), 0.3)
    alone = [augment.rotate_rows(rows, index[at : at + 1], rotation[at : at + 1]) for at in range(40)]
    assert torch.equal(augment.rotate_rows(rows, index, rotation), torch.cat(alone))
