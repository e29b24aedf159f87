from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from mamp_schemas.errors import LostRankError, TrainingError
from mamp_trainer.data.collate import Batch, UniqueBodies
from mamp_trainer.distributed.batchnorm import DistributedBatchNorm
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.training.microbatch import FlatGradients, Microbatch
from mamp_trainer.training.runtime import RunContext
from tests.trainer.rank_threads import together
from tests.trainer.runs import make_trainer
from tests.waiting import HANG_SECONDS


def test_all_reduce_sum__sums_over_ranks() -> None:
    found = together(3, lambda ranks: ranks.all_reduce_sum(torch.tensor([1.0, ranks.rank])).tolist())
    assert found == [[3.0, 3.0]] * 3


def test_ordered_all_reduce__a_value_s_bits_do_not_depend_on_its_neighbours() -> None:
    values = torch.rand((4, 64), generator=torch.Generator().manual_seed(0))

    def work(ranks: DistContext) -> tuple[list[float], list[float]]:
        own_values = values[ranks.rank]
        alone = [float(ranks.ordered_all_reduce(own_values[at : at + 1])) for at in range(64)]
        return alone, ranks.ordered_all_reduce(own_values).tolist()

    expected = (((values[0] + values[1]) + values[2]) + values[3]).tolist()
    assert together(4, work) == [(expected, expected)] * 4


def test_all_reduce_max__of_all_ranks() -> None:
    assert together(3, lambda ranks: ranks.all_reduce_max([2, 15, 0][ranks.rank])) == [15] * 3


@pytest.mark.parametrize("text", ["", "runs/größe/step-00000001"])
def test_broadcast_str__of_rank_0(text: str) -> None:
    assert together(2, lambda ranks: ranks.broadcast_str(text if ranks.is_main else "another")) == [text] * 2


def test_single_process__returns_its_arguments() -> None:
    values = torch.tensor([2.0])
    assert SINGLE_PROCESS.all_reduce_sum(values) is values
    assert (
        SINGLE_PROCESS.all_reduce_max(7),
        SINGLE_PROCESS.broadcast_str("text"),
        SINGLE_PROCESS.is_main,
        SINGLE_PROCESS.device_index,
    ) == (7, "text", True, None)


def test_all_reduce_sum__a_rank_that_is_gone_is_an_error_not_a_wait() -> None:
    def leave(ranks: DistContext) -> None:
        ranks.all_reduce_sum(torch.ones(1))
        if ranks.is_main:
            with pytest.raises(LostRankError, match="rank 0 lost the connection"):
                ranks.all_reduce_sum(torch.ones(1))

    store = dist.HashStore()

    def start(rank: int) -> None:
        leave(DistContext(rank, 2, rank, 2, dist.ProcessGroupGloo(store, rank, 2, timedelta(seconds=HANG_SECONDS))))

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(start, range(2)))


def test_flat_gradients__are_views_that_add_up_over_ranks() -> None:
    def work(ranks: DistContext) -> tuple[list[float], float]:
        weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(1, 1))]
        gradients = FlatGradients(weights)
        for factor in (100.0, 1.0 + 2 * ranks.rank):
            gradients.zero()
            (factor * (weights[0].sum() + 2 * weights[1].sum())).backward()
        gradients.all_reduce(ranks)
        return [value for weight in weights for value in grads(weight)], float(gradients.norm())

    assert together(2, work) == [([4.0, 4.0, 8.0], pytest.approx(96**0.5))] * 2


def grads(weight: nn.Parameter) -> list[float]:
    assert weight.grad is not None
    return [float(value) for value in weight.grad.flatten()]


def test_distributed_batch_norm__equals_batch_norm_over_all_clips() -> None:
    features = torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 5
    whole = nn.BatchNorm1d(4, affine=False, eps=1e-6).double()
    expected = [whole(features), whole(features * 2)]

    def work(ranks: DistContext) -> tuple[list[torch.Tensor], DistributedBatchNorm]:
        norm = DistributedBatchNorm(nn.BatchNorm1d(4, affine=False, eps=1e-6), ranks).double()
        mine = features[:2] if ranks.is_main else features[2:]
        return [norm(mine), norm(mine * 2)], norm

    (one, norm), (other, _) = together(2, work)
    for at in range(2):
        assert torch.allclose(torch.cat((one[at], other[at])), expected[at], rtol=1e-12, atol=1e-12)
    assert norm.state_dict().keys() == whole.state_dict().keys()
    for name, value in whole.state_dict().items():
        assert torch.allclose(norm.state_dict()[name], value, rtol=1e-12, atol=0)
    assert torch.equal(norm.eval()(features), nn.BatchNorm1d.forward(norm, features))


EMPTY = torch.empty(0)


def failing(value: float) -> Callable[[DistContext], str]:
    def work(ranks: DistContext) -> str:
        weight = nn.Parameter(torch.tensor(1.0))
        optimiser, context = torch.optim.SGD([weight], lr=0.0), RunContext(Path("none"), dist_context=ranks)
        trainer = make_trainer(lambda batch, _epoch: weight * batch.x.sum(), optimiser, context=context)
        x = torch.tensor([1.0 if ranks.is_main else value])
        trainer.train_step(
            [Microbatch(Batch(x, None, EMPTY, EMPTY, EMPTY, UniqueBodies(EMPTY, EMPTY)), 0.5)], 2, 4, lr=0.0
        )
        with pytest.raises(TrainingError) as caught:
            trainer.flush_metrics()
        return caught.value.message

    return work


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_flush_metrics__a_loss_that_is_not_finite_on_one_rank_is_an_error_on_all(value: float) -> None:
    first, second = together(2, failing(value))
    assert first == second
    assert "step 5 of epoch 3" in first
    assert "clip2 clip4" in first
