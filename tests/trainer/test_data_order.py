import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamp_trainer.data.order import batch_positions, epoch_order, steps_per_epoch


@given(st.integers(0, 2**63), st.integers(0, 1000), st.integers(1, 300))
def test_epoch_order__is_a_permutation(seed: int, epoch: int, clips: int) -> None:
    assert epoch_order(seed, epoch, clips).sort().values.tolist() == list(range(clips))


def test_epoch_order__changes_with_seed_and_epoch_only() -> None:
    base = epoch_order(0, 0, 50)
    assert torch.equal(base, epoch_order(0, 0, 50))
    assert not torch.equal(base, epoch_order(0, 1, 50))
    assert not torch.equal(base, epoch_order(1, 0, 50))
    assert not torch.equal(base, torch.arange(50))


def test_epoch_order__every_clip_comes_anywhere() -> None:
    places = torch.stack([epoch_order(0, epoch, 10).argsort() for epoch in range(500)])
    counts = torch.stack([(places == place).sum(0) for place in range(10)]).double()
    chi_square = float(((counts - 50) ** 2 / 50).sum())
    assert chi_square < 81 + 4 * (2 * 81) ** 0.5


@pytest.mark.parametrize(("clips", "batch_size", "steps"), [(10, 4, 2), (8, 4, 2), (4, 4, 1), (3, 4, 1), (1, 128, 1)])
def test_steps_per_epoch__drops_the_last_incomplete_batch(clips: int, batch_size: int, steps: int) -> None:
    assert steps_per_epoch(clips, batch_size) == steps


@given(st.integers(1, 50), st.integers(1, 20), st.integers(1, 6))
def test_batch_positions__ranks_share_out_every_clip_in_order(clips: int, batch_size: int, ranks: int) -> None:
    steps = -(-clips // batch_size)
    order = list(range(clips))
    shares = [
        order[batch_positions(step, batch_size, clips, rank, ranks)] for step in range(steps) for rank in range(ranks)
    ]
    assert [clip for share in shares for clip in share] == order


@given(st.integers(0, 5), st.integers(1, 20), st.integers(1, 6))
def test_batch_positions__shares_differ_by_one_at_most(step: int, batch_size: int, ranks: int) -> None:
    shares = [batch_positions(step, batch_size, 1000, rank, ranks) for rank in range(ranks)]
    sizes = [share.stop - share.start for share in shares]
    assert sum(sizes) == batch_size
    assert max(sizes) - min(sizes) <= 1


def test_batch_positions__fewer_clips_than_a_batch_are_one_batch() -> None:
    assert batch_positions(0, 128, 5) == slice(0, 5)
