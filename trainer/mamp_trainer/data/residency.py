"""Choose where clips live (on the training device, in host memory or on disk) by their size and a budget; pure."""

from dataclasses import dataclass
from typing import Literal

from mamp_schemas.models.recipe import Recipe


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """Bytes that clips may take on the training device and on the host; the same memory where the CPU trains."""

    device: int
    host: int


DEFAULT_SHUFFLE_WINDOW = 32
"""Shards that a stream shuffles together unless recipe or budget say otherwise: some 20,000 clips of NTU in 0.6 GB,
in memory twice. It does not depend on free memory: a run's order must not depend on the machine."""

GB = 10**9


@dataclass(frozen=True, slots=True)
class DataSize:
    """The memory that clips take.

    Attributes:
        total: bytes of all clips of the run.
        shards: shards that the training clips lie in.
        largest: bytes of the largest of them.
    """

    total: int
    shards: int
    largest: int


@dataclass(frozen=True, slots=True)
class ResidencyChoice:
    """Where clips live, the shards shuffled together (None for all), and why."""

    location: Literal["device", "host", "stream"]
    window: int | None
    reason: str


def choose_residency(recipe: Recipe, size: DataSize, free_memory: MemoryBudget, device: str) -> ResidencyChoice:
    """Choose where clips live.

    The recipe's own choices come first; the budget decides what it leaves open.

    Args:
        recipe: its `residency`, `residency_budget_gb` and `shuffle_window` are read.
        size: of the clips.
        free_memory: the budget where the recipe has none.
        device: the training device's name.
    """
    budget = _recipe_budget(recipe) or free_memory
    residency, reason = recipe.residency, "as the recipe says"
    if residency == "auto":
        residency, reason = _residency_by_budget(size.total, budget, device)
    window = recipe.shuffle_window
    if residency == "stream" and window is None:
        window = _stream_window(size, _recipe_budget(recipe))
    windowed = window is not None and window < size.shards
    shuffled = f"in windows of {window} of their {size.shards} shards" if windowed else "all together"
    return ResidencyChoice(residency, window, f"{reason}; shuffled {shuffled}")


def _residency_by_budget(
    total: int, budget: MemoryBudget, device: str
) -> tuple[Literal["device", "host", "stream"], str]:
    clips = f"{total / GB:.2f} GB of clips"
    if total <= budget.device:
        return "device", f"{clips} fit the budget of {budget.device / GB:.2f} GB on {device}"
    exceeded = f"{clips} exceed the budget of {budget.device / GB:.2f} GB on {device}"
    if total <= budget.host:
        return "host", f"{exceeded}, and fit that of {budget.host / GB:.2f} GB on the host"
    return "stream", f"{exceeded} and that of {budget.host / GB:.2f} GB on the host"


def _recipe_budget(recipe: Recipe) -> MemoryBudget | None:
    if recipe.residency_budget_gb is None:
        return None
    budget = int(recipe.residency_budget_gb * GB)
    return MemoryBudget(device=budget, host=budget)


def _stream_window(size: DataSize, stated: MemoryBudget | None) -> int | None:
    """Return how many shards fit a stated budget twice (in use, and being read); None for all of them."""
    fitting = DEFAULT_SHUFFLE_WINDOW if stated is None else max(stated.host // (2 * size.largest), 1)
    return fitting if fitting < size.shards else None
