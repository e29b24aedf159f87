import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist

from mamp_schemas.errors import Interrupted, TrainingError, UsageError
from mamp_schemas.signals import interruptible
from mamp_trainer.distributed.context import DistContext
from mamp_trainer.training.run_dir import package_versions
from mamp_trainer.training.runtime import choose_device, seeded


def test_choose_device__auto_takes_a_gpu_where_there_is_one() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_choose_device__a_gpu_that_is_not_there_is_no_wrong_command_line() -> None:
    with pytest.raises(TrainingError, match="device 'cuda:99' is not there"):
        choose_device("cuda:99")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "mps"])
def test_choose_device__refuses_an_unknown_name(name: str) -> None:
    with pytest.raises(UsageError, match="device"):
        choose_device(name)


def test_seeded__repeats_and_leaves_the_global_generator() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with seeded(1):
        one = torch.rand(3)
    assert torch.equal(torch.rand(1), expected)
    with seeded(1):
        assert torch.equal(torch.rand(3), one)


def test_interruptible__a_signal_to_one_rank_stops_all() -> None:
    store = dist.HashStore()

    def work(rank: int) -> int:
        ranks = DistContext(rank, 2, rank, 2, dist.ProcessGroupGloo(store, rank, 2, timedelta(seconds=60)))
        with interruptible(ranks.all_reduce_max) as check_interrupt:
            check_interrupt()
            if ranks.is_main:
                signal.raise_signal(signal.SIGTERM)
            with pytest.raises(Interrupted, match="SIGTERM") as caught:
                check_interrupt()
        return caught.value.exit_code

    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(work, 1)  # only the main thread is given signals
        assert work(0) == other.result() == 75


def test_choose_device__one_gpu_for_several_ranks_is_refused() -> None:
    with pytest.raises(UsageError, match="there are several ranks"):
        choose_device("cuda:0", local_rank=1)


def test_package_versions__names_what_results_depend_on() -> None:
    assert package_versions()["torch"] == torch.__version__
    assert {"python", "mampctl", "numpy", "zarr"} <= package_versions().keys()
