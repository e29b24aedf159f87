"""The stores and split manifests of a data folder."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from mamp_schemas.errors import MampctlError, ManifestError, StoreError
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.models.dataset import fixed_spec
from mamp_schemas.models.recipe import Recipe
from mamp_schemas.models.splits import SplitCounts, Subset, manifest_name

SplitKey = tuple[str, str, Subset | None]
"""Dataset, protocol and draw."""


@dataclass(frozen=True)
class SplitInfo:
    """The data of a run: which clips train and test, and what they hold.

    Attributes:
        policy: the name of the policy that the clips were made by.
    """

    store_hash: str
    manifest_hash: str
    counts: SplitCounts
    policy: str

    @property
    def official(self) -> bool:
        """Whether the whole splits have as many clips as published."""
        counts = self.counts
        return (counts.train, counts.test) == (counts.official_train, counts.official_test)

    @property
    def corrected(self) -> bool:
        """Whether the clips differ from those of the authors' scripts; false if that is unknown."""
        return self.policy == "corrected"


@dataclass
class DataCatalog:
    """The stores of a folder, `DATASET.zarr` with the manifests beside it; each is read once."""

    folder: Path
    _stores: dict[str, Store] = field(default_factory=dict)
    _splits: dict[SplitKey, SplitInfo] = field(default_factory=dict)

    def store_path(self, recipe: Recipe) -> Path:
        """Return the path of a recipe's store, whether or not it exists."""
        return self.folder / f"{recipe.dataset}.zarr"

    def split(self, recipe: Recipe, *, whole: bool = False) -> SplitInfo:
        """Return the split that a recipe is trained and tested on.

        Args:
            recipe: the recipe.
            whole: whether to return the whole split where the recipe uses only a draw of the training clips.

        Raises:
            StoreError: the store is missing or unreadable; says how to make it.
            ManifestError: the manifest is missing or unreadable; says how to make it.
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
        """Return whether a recipe's store exists and its manifest does not."""
        path = self.store_path(recipe).resolve()
        names = (manifest_name(path.name, recipe.protocol, subset) for subset in {None, recipe.training_subset})
        return self.has_store(recipe) and not all(path.with_name(name).exists() for name in names)

    def problems(self, recipes: Iterable[Recipe]) -> list[str]:
        """Return what is missing of the data of recipes, each once, with the command that makes it."""
        problems = (self._problem(recipe) for recipe in recipes)
        return list(dict.fromkeys(problem for problem in problems if problem is not None))

    def _problem(self, recipe: Recipe) -> str | None:
        try:
            self.split(recipe)
        except MampctlError as problem:
            return error_line(problem)
        return None

    def count_split_clips(self, recipe: Recipe) -> tuple[int, int]:
        """Return the numbers of training and test clips by the store's columns, for a store without a manifest.

        Raises:
            StoreError: there is no store.
        """
        store = self._open(recipe)
        protocol = store.metadata.dataset_spec().protocol(recipe.protocol)
        counts = Counter(protocol.split_of(value) for value in store.column(protocol.column).tolist())
        subset = recipe.training_subset
        return int(counts["train"] * (subset.fraction if subset else 1)), counts["test"]

    def _open(self, recipe: Recipe) -> Store:
        if recipe.dataset not in self._stores:
            self._stores[recipe.dataset] = self._read(recipe)
        return self._stores[recipe.dataset]

    def _read(self, recipe: Recipe) -> Store:
        path = self.store_path(recipe)
        if not path.exists():
            raise StoreError(
                f"{path}: there is no store of {recipe.dataset}",
                remedy=f"Make it: mampctl ingest {recipe.dataset} --raw PATH --out {quote(str(path))}",
            )
        store = open_store(path)
        if store.metadata.dataset != recipe.dataset:
            raise StoreError(
                f"{path}: holds {store.metadata.dataset}, not {recipe.dataset}", remedy="Move it to another folder."
            )
        return store


def error_line(problem: MampctlError) -> str:
    """Return an error's message and remedy in one line, for tables and terminals."""
    return " ".join(f"{problem.message.rstrip('.')}. {problem.remedy}".split())


def count_clips(recipe: Recipe, catalog: DataCatalog) -> tuple[int, int] | None:
    """Return the numbers of training and test clips: the store's, or the official ones where there is no store.

    None where neither is known.
    """
    try:
        counts = catalog.split(recipe).counts
    except ManifestError:
        return catalog.count_split_clips(recipe)
    except StoreError:
        return _official_counts(recipe)
    return counts.train, counts.test


def _official_counts(recipe: Recipe) -> tuple[int, int] | None:
    spec = fixed_spec(recipe.dataset)
    if spec is None:
        return None
    protocol, subset = spec.protocol(recipe.protocol), recipe.training_subset
    if protocol.official_train is None or protocol.official_test is None:
        return None
    return int(protocol.official_train * (subset.fraction if subset else 1)), protocol.official_test
