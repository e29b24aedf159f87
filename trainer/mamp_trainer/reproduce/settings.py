"""Owns when two recipes are of the same run, and the names of runs that follow from it."""

import hashlib
from typing import Any

from mamp_schemas.base import canonical_json
from mamp_schemas.recipes import PLACEMENT, Recipe

_SAYS_NOTHING = PLACEMENT | {"name", "summary", "checkpoint_every", "shuffle_window"}
"""Fields that make no other run. The shuffle window is set where clips turn out not to fit into memory."""

_SHOWN = 8


def settings(recipe: Recipe) -> dict[str, Any]:
    """Return what a run's numbers depend on."""
    return {key: value for key, value in recipe.facts().items() if key not in _SAYS_NOTHING}


def name_run(recipe: Recipe, parent: str | None) -> str:
    """Return the folder name of a run: the same for the same settings and parent.

    Args:
        recipe: what is trained.
        parent: the name of the pre-training that it begins with.
    """
    facts = canonical_json([settings(recipe), parent])
    return f"{recipe.kind}-{recipe.name}-{hashlib.sha256(facts).hexdigest()[:_SHOWN]}"
