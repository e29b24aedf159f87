import pytest

from mamp_trainer.data.residency import DEFAULT_SHUFFLE_WINDOW, DataSize, MemoryBudget, choose_residency
from tests.trainer.runs import pretrain_recipe

GB = 10**9
SIZE = DataSize(total=10 * GB, shards=100, largest=GB // 10)
GPU = "cuda:0"


@pytest.mark.parametrize(
    ("device", "host", "expected"),
    [(10, 10, "device"), (9, 10, "host"), (9, 9, "stream"), (10, 0, "device")],
)
def test_choose_residency__auto_takes_the_first_that_the_budget_admits(device: int, host: int, expected: str) -> None:
    assert choose_residency(pretrain_recipe(), SIZE, MemoryBudget(device * GB, host * GB), GPU).location == expected


def test_choose_residency__says_why() -> None:
    reason = choose_residency(pretrain_recipe(), SIZE, MemoryBudget(4 * GB, 20 * GB), GPU).reason
    assert reason == (
        "10.00 GB of clips exceed the budget of 4.00 GB on cuda:0, and fit that of 20.00 GB on the host; "
        "shuffled all together"
    )
    reason = choose_residency(pretrain_recipe(), SIZE, MemoryBudget(4 * GB, 5 * GB), GPU).reason
    assert reason.endswith("and that of 5.00 GB on the host; shuffled in windows of 32 of their 100 shards")


@pytest.mark.parametrize("asked", ["device", "host", "stream"])
def test_choose_residency__what_the_recipe_names_is_taken(asked: str) -> None:
    placement = choose_residency(pretrain_recipe(residency=asked), SIZE, MemoryBudget(GB, GB), GPU)
    assert placement.location == asked
    assert placement.reason.startswith("as the recipe says")


def test_choose_residency__the_recipes_budget_counts_for_device_and_host() -> None:
    plenty = MemoryBudget(99 * GB, 99 * GB)
    assert choose_residency(pretrain_recipe(residency_budget_gb=10.0), SIZE, plenty, GPU).location == "device"
    assert choose_residency(pretrain_recipe(residency_budget_gb=9.9), SIZE, plenty, GPU).location == "stream"


@pytest.mark.parametrize("residency", ["device", "host"])
def test_choose_residency__clips_in_memory_are_shuffled_all_together(residency: str) -> None:
    assert choose_residency(pretrain_recipe(residency=residency), SIZE, MemoryBudget(GB, GB), GPU).window is None


@pytest.mark.parametrize("residency", ["device", "host", "stream"])
def test_choose_residency__the_recipes_window_holds_everywhere(residency: str) -> None:
    recipe = pretrain_recipe(residency=residency, shuffle_window=7)
    assert choose_residency(recipe, SIZE, MemoryBudget(GB, GB), GPU).window == 7


def test_choose_residency__the_window_of_a_stream_does_not_depend_on_the_machine() -> None:
    recipe = pretrain_recipe(residency="stream")
    assert {choose_residency(recipe, SIZE, MemoryBudget(GB, host * GB), GPU).window for host in (1, 50)} == {
        DEFAULT_SHUFFLE_WINDOW
    }


def test_choose_residency__the_window_of_a_stream_fits_the_recipes_budget_twice() -> None:
    for budget, window in ((3.0, 15), (0.05, 1), (19.9, 99)):
        recipe = pretrain_recipe(residency="stream", residency_budget_gb=budget)
        assert choose_residency(recipe, SIZE, MemoryBudget(0, 0), GPU).window == window


def test_choose_residency__a_stream_that_can_hold_all_shuffles_all_together() -> None:
    recipe = pretrain_recipe(residency="stream")
    assert (
        choose_residency(
            recipe, DataSize(10 * GB, shards=DEFAULT_SHUFFLE_WINDOW, largest=GB), MemoryBudget(0, 0), GPU
        ).window
        is None
    )
    recipe = pretrain_recipe(residency="stream", residency_budget_gb=20.0)
    assert choose_residency(recipe, SIZE, MemoryBudget(0, 0), GPU).window is None
