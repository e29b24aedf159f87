"""The stores and split manifests of a data folder, as plans see them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mamp_schemas.errors import MampctlError, ManifestError, StoreError
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.models.dataset import DatasetSpec
from mamp_schemas.models.recipe import Recipe
from mamp_schemas.models.splits import SplitCounts, Subset, manifest_name
from mamp_schemas.registry import DATASETS

SplitKey = tuple[str, str, Subset | None]
"""Dataset, protocol and draw."""


@dataclass(frozen=True)
class SplitInfo:
    """What a run's numbers depend on besides its recipe and encoder: the clips of its two sides, and what they hold.

    Attributes:
        policy: the name of the one by which the clips were made.
    """

    store_hash: str
    manifest_hash: str
    counts: SplitCounts
    policy: str

    @property
    def official(self) -> bool:
        """Whether the sides have as many clips as published, those of a draw apart."""
        found, wanted = (self.counts.train, self.counts.test), (self.counts.official_train, self.counts.official_test)
        return found == wanted

    @property
    def corrected(self) -> bool:
        """Whether the clips are others than the authors' scripts make; of imported ones nobody knows."""
        return self.policy == "corrected"


@dataclass
class DataCatalog:
    """The stores of a folder, each read once: `DATASET.zarr` and the manifests beside it."""

    folder: Path
    _stores: dict[str, Store] = field(default_factory=dict)
    _splits: dict[SplitKey, SplitInfo] = field(default_factory=dict)

    def store_path(self, recipe: Recipe) -> Path:
        """Return where a recipe's store is to stand."""
        return self.folder / f"{recipe.dataset}.zarr"

    def split(self, recipe: Recipe, *, whole: bool = False) -> SplitInfo:
        """Return the split that a recipe is trained and tested on.

        Args:
            recipe: the recipe.
            whole: whether to leave out that only a draw of the training clips is used.

        Raises:
            StoreError: there is no store, or none that can be read; says how to make it.
            ManifestError: so of the manifest.
        """
        subset = None if whole else recipe.training_subset
        key = (recipe.dataset, recipe.protocol, subset)
        if key not in self._splits:
            store = self._open(recipe)
            manifest = read_manifest(store, recipe.protocol, subset)
            self._splits[key] = SplitInfo(
                store.metadata.content_hash, manifest.digest(), manifest.counts, store.metadata.policy.name
            )
        return self._splits[key]

    def has_store(self, recipe: Recipe) -> bool:
        """Return whether a recipe's store can be read."""
        try:
            self._open(recipe)
        except MampctlError:
            return False
        return True

    def lacks_manifest(self, recipe: Recipe) -> bool:
        """Return whether a recipe's store is there, and its manifest is not."""
        place = self.store_path(recipe).resolve()
        names = (manifest_name(place.name, recipe.protocol, subset) for subset in {None, recipe.training_subset})
        return self.has_store(recipe) and not all(place.with_name(name).exists() for name in names)

    def problems(self, recipes: Iterable[Recipe]) -> list[str]:
        """Return what is missing of the data of recipes, each once, with what makes it."""
        found = dict.fromkeys(problem for recipe in recipes if (problem := self._problem(recipe)) is not None)
        return list(found)

    def _problem(self, recipe: Recipe) -> str | None:
        try:
            self.split(recipe)
        except MampctlError as problem:
            return error_line(problem)
        return None

    def count_split_clips(self, recipe: Recipe) -> tuple[int, int]:
        """Return the clips of the two sides as the store's columns tell them, where there is no manifest yet.

        Raises:
            StoreError: there is no store.
        """
        store = self._open(recipe)
        protocol = store.metadata.dataset_spec().protocol(recipe.protocol)
        found = Counter(protocol.split_of(value) for value in store.column(protocol.column).tolist())
        subset = recipe.training_subset
        return int(found["train"] * (subset.fraction if subset else 1)), found["test"]

    def _open(self, recipe: Recipe) -> Store:
        if recipe.dataset not in self._stores:
            self._stores[recipe.dataset] = self._read(recipe)
        return self._stores[recipe.dataset]

    def _read(self, recipe: Recipe) -> Store:
        place = self.store_path(recipe)
        if not place.exists():
            raise StoreError(
                f"{place}: there is no store of {recipe.dataset}",
                remedy=f"Make it: mampctl ingest {recipe.dataset} --raw PATH --out {place}",
            )
        store = open_store(place)
        if store.metadata.dataset != recipe.dataset:
            raise StoreError(
                f"{place}: holds {store.metadata.dataset}, not {recipe.dataset}", remedy="Move it out of the way."
            )
        return store


def error_line(problem: MampctlError) -> str:
    """Return what went wrong and what to do next, as a table and a line of a terminal can hold it."""
    return " ".join(f"{problem.message.rstrip('.')}. {problem.remedy}".split())


def count_clips(recipe: Recipe, shelf: DataCatalog) -> tuple[int, int] | None:
    """Return the clips of the training and of the test side, official ones where there is no store.

    None where neither is known.
    """
    try:
        counts = shelf.split(recipe).counts
    except ManifestError:
        return shelf.count_split_clips(recipe)
    except StoreError:
        return _official_counts(recipe)
    return counts.train, counts.test


def _official_counts(recipe: Recipe) -> tuple[int, int] | None:
    spec = DATASETS.options(recipe.dataset)
    if not isinstance(spec, DatasetSpec):
        return None
    protocol, subset = spec.protocol(recipe.protocol), recipe.training_subset
    if protocol.official_train is None or protocol.official_test is None:
        return None
    return int(protocol.official_train * (subset.fraction if subset else 1)), protocol.official_test
