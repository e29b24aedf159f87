from pathlib import Path

import pytest

from mamp_schemas.errors import ManifestError, RecipeError
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.store_reader import Store, open_store
from mamp_schemas.models.objectives import MAMPRecipe
from mamp_schemas.models.recipe import AdamW, ModelSpec, ScheduleSpec
from mamp_schemas.models.store import MotionSpec
from mamp_trainer.data.dataset import check_recipe, split_clips
from mamp_trainer.recipes import with_changes
from tests.trainer.stores import make_clips, write_manifest, write_store

IDS = ["clip000", "clip001", "clip002", "clip003"]
RECIPE = MAMPRecipe(
    kind="pretrain",
    name="tiny",
    summary="",
    dataset="ntu60",
    protocol="xsub",
    model=ModelSpec(frames=8),
    optimiser=AdamW(kind="adamw"),
    schedule=ScheduleSpec(epochs=1, lr=1e-3),
    batch_size=2,
    motion_source="stored",
)


def make_store(folder: Path, motion: MotionSpec | None = None) -> Store:
    return open_store(write_store(folder / "ntu60.zarr", make_clips([(1, 9)] * 4), motion=motion))


def test_read_manifest__finds_it_beside_the_store(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    write_manifest(store.path, IDS[:3], IDS[3:])
    assert read_manifest(store, "xsub").train == tuple(IDS[:3])


def test_read_manifest__missing_names_the_command(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with pytest.raises(ManifestError, match=r"ntu60\.xview\.json") as caught:
        read_manifest(store, "xview")
    assert "mampctl build-splits --protocol xview --store" in caught.value.remedy


def test_read_manifest__refuses_another_stores(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    write_manifest(store.path, IDS[:3], IDS[3:], content_hash="d" * 64)
    with pytest.raises(ManifestError, match="made for content dddddddddddd"):
        read_manifest(store, "xsub")


def test_read_manifest__refuses_unknown_clips(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    write_manifest(store.path, [*IDS[:3], "clip900"], IDS[3:])
    with pytest.raises(ManifestError, match=r"1 clips are not in .* clip900"):
        read_manifest(store, "xsub")


def test_read_manifest__refuses_damaged_text(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    write_manifest(store.path, IDS[:3], IDS[3:]).write_text('{"train": ')
    with pytest.raises(ManifestError, match="not valid JSON"):
        read_manifest(store, "xsub")


def test_split_clips__returns_ascending_store_indices(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    write_manifest(store.path, [IDS[3], IDS[1]], [IDS[0]])
    manifest = read_manifest(store, "xsub")
    assert split_clips(store, manifest, "train").tolist() == [1, 3]
    assert split_clips(store, manifest, "test").tolist() == [0]


def test_split_clips__refuses_an_empty_split(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    write_manifest(store.path, IDS, [])
    with pytest.raises(ManifestError, match="the test split of 'xsub' has no clips"):
        split_clips(store, read_manifest(store, "xsub"), "test")


def test_check_recipe__accepts_what_fits(tmp_path: Path) -> None:
    check_recipe(RECIPE, make_store(tmp_path))


def test_check_recipe__refuses_another_dataset(tmp_path: Path) -> None:
    recipe, store = RECIPE.replaced(dataset="ntu120"), make_store(tmp_path)
    with pytest.raises(RecipeError, match=r"is for ntu120, .* holds ntu60") as error:
        check_recipe(recipe, store)
    changes = error.value.remedy.partition("To train on this one: ")[2].replace("--set", "").split()
    check_recipe(with_changes(recipe, changes, "recipe"), store)


def test_check_recipe__refuses_another_segment_of_stored_motion(tmp_path: Path) -> None:
    store = make_store(tmp_path, MotionSpec(segment=2))
    with pytest.raises(RecipeError, match="has segment 2, the recipe needs 4"):
        check_recipe(RECIPE, store)


def test_check_recipe__refuses_another_stride_of_stored_motion(tmp_path: Path) -> None:
    target = RECIPE.target.replaced(stride=2)
    with pytest.raises(RecipeError, match="has stride 1, the recipe needs 2"):
        check_recipe(RECIPE.replaced(target=target), make_store(tmp_path))


def test_check_recipe__refuses_stored_motion_that_does_not_add_up(tmp_path: Path) -> None:
    target = RECIPE.target.replaced(stride=2)
    store = make_store(tmp_path, MotionSpec(stride=2))
    with pytest.raises(RecipeError, match="only stride 1 adds up"):
        check_recipe(RECIPE.replaced(target=target), store)


def test_check_recipe__online_motion_needs_nothing_of_the_store(tmp_path: Path) -> None:
    check_recipe(RECIPE.replaced(motion_source="online"), make_store(tmp_path, MotionSpec(stride=3, segment=5)))


def test_check_recipe__joints_as_target_need_no_stride(tmp_path: Path) -> None:
    check_recipe(RECIPE.replaced(target=RECIPE.target.replaced(kind="joint", stride=2)), make_store(tmp_path))
