import sys

import numpy as np
import pytest

from mamp_pipeline.cleaning import denoise as variance
from mamp_pipeline.cleaning import jit


@pytest.mark.parametrize("seed", range(40))
def test_sum_variances__compiled_has_the_bits_of_numpy(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scale, offset = generator.choice([1e-3, 1, 1e3]), generator.choice([-100, 0, 3])
    points = (scale * generator.standard_normal((int(generator.integers(1, 20_000)), 3)) + offset).astype(np.float32)
    found, expected = jit.sum_variances_compiled(points), variance.sum_variances_numpy(points)
    assert np.float32(found).tobytes() == expected.tobytes()


def test_sum_variances__zeros_and_one_position() -> None:
    for points in (np.zeros((25, 3), np.float32), np.full((1, 3), 7, np.float32)):
        assert variance.sum_variances(points) == 0


def test_sum_variances__is_a_float32() -> None:
    assert type(variance.sum_variances(np.eye(3, dtype=np.float32))) is np.float32


def test_sum_variances__by_numpy_where_numba_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "mamp_pipeline.cleaning.jit", raising=False)
    monkeypatch.delattr("mamp_pipeline.cleaning.jit")
    assert variance.choose_sum_variances.__wrapped__() is variance.sum_variances_numpy
