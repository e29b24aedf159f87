import torch
from hypothesis import given
from hypothesis import strategies as st

from mamp_trainer.data.rng import RngStream, hash_index, uniform

WORD = 2**64
INCREMENT = 0x9E3779B97F4A7C15
COUNT = 20_000


def mix(bits: int) -> int:
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % WORD
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % WORD
    return bits ^ bits >> 31


def expected_hash(seed: int, epoch: int, stream: int, index: int) -> int:
    key = 0
    for part in (seed, epoch, stream):
        key = mix(((key ^ part) + INCREMENT) % WORD)
    return mix((index * INCREMENT + key) % WORD)


words = st.integers(0, WORD - 1)
small = st.integers(0, 2**31)


@given(words, small, st.integers(0, 3), st.integers(0, 2**62))
def test_hash_index__equals_arithmetic_on_unsigned_numbers(seed: int, epoch: int, stream: int, index: int) -> None:
    found = hash_index(seed, epoch, stream, torch.tensor([index]))
    assert int(found) % WORD == expected_hash(seed, epoch, stream, index)


@given(words, small, st.integers(0, 2**62))
def test_uniform__takes_the_upper_24_bits(seed: int, epoch: int, index: int) -> None:
    bits = expected_hash(seed, epoch, RngStream.CROP, index)
    drawn = uniform(seed, epoch, RngStream.CROP, torch.tensor([index]), 3)
    assert drawn.tolist() == [[(mix((bits + counter * INCREMENT) % WORD) >> 40) / 2**24 for counter in (1, 2, 3)]]


def test_uniform__stays_below_one_and_not_below_zero() -> None:
    drawn = uniform(0, 0, RngStream.MASK, torch.arange(2000), 1000)
    assert drawn.dtype == torch.float32
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert drawn.max() > 1 - 1e-5


def test_uniform__does_not_depend_on_the_batch() -> None:
    index = torch.tensor([5, 0, 123_456, 7])
    together = uniform(1, 2, RngStream.MASK, index, 10)
    alone = torch.cat([uniform(1, 2, RngStream.MASK, one[None], 10) for one in index])
    assert torch.equal(together, alone)


def test_uniform__more_numbers_begin_with_the_same() -> None:
    index = torch.arange(5)
    assert torch.equal(uniform(0, 0, RngStream.CROP, index, 9)[:, :4], uniform(0, 0, RngStream.CROP, index, 4))


def kolmogorov_smirnov(values: torch.Tensor) -> float:
    """The largest distance between the empirical distribution and the uniform one, times the root of the count."""
    ordered = values.double().flatten().sort().values
    count = len(ordered)
    steps = torch.arange(count + 1, dtype=torch.float64) / count
    return float(torch.maximum((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()) * count**0.5)


ONE_IN_A_THOUSAND = 1.95
"""Exceeded by that statistic once in a thousand samples."""


def test_uniform__is_uniform_over_indices() -> None:
    drawn = uniform(3, 1, RngStream.CROP, torch.arange(COUNT), 1)
    assert abs(float(drawn.mean()) - 0.5) < 4 * (1 / 12 / COUNT) ** 0.5
    assert kolmogorov_smirnov(drawn) < ONE_IN_A_THOUSAND


def test_uniform__is_uniform_within_one_index() -> None:
    assert kolmogorov_smirnov(uniform(3, 1, RngStream.MASK, torch.tensor([0]), COUNT)) < ONE_IN_A_THOUSAND


def test_uniform__is_uniform_over_epochs_and_seeds() -> None:
    zero = torch.tensor([0])
    assert (
        kolmogorov_smirnov(torch.cat([uniform(0, n, RngStream.CROP, zero, 1) for n in range(1000)])) < ONE_IN_A_THOUSAND
    )
    assert (
        kolmogorov_smirnov(torch.cat([uniform(n, 0, RngStream.CROP, zero, 1) for n in range(1000)])) < ONE_IN_A_THOUSAND
    )


def correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    return abs(float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]).double())[0, 1]))


def test_uniform__neighbours_do_not_correlate() -> None:
    index = torch.arange(COUNT)
    base = uniform(0, 0, RngStream.CROP, index, 2)
    four_sigma = 4 / COUNT**0.5
    assert correlation(base[:-1, 0], base[1:, 0]) < four_sigma
    assert correlation(base[:, 0], base[:, 1]) < four_sigma
    assert correlation(base, uniform(0, 1, RngStream.CROP, index, 2)) < four_sigma
    assert correlation(base, uniform(1, 0, RngStream.CROP, index, 2)) < four_sigma
    assert correlation(base, uniform(0, 0, RngStream.ROTATION, index, 2)) < four_sigma


def test_hash_index__seed_epoch_and_stream_do_not_stand_for_each_other() -> None:
    index = torch.arange(8)
    keys = [
        (a, b, c)
        for a in range(3)
        for b in range(3)
        for c in (RngStream.ORDER, RngStream.CROP, RngStream.ROTATION, RngStream.MASK)
    ]
    assert len({int(bits) for key in keys for bits in hash_index(*key, index)}) == len(keys) * len(index)
