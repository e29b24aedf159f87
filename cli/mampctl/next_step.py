"""The command that is likely to follow on a store."""

from typing import TYPE_CHECKING

from mampctl.places import suggest_recipe_options

if TYPE_CHECKING:
    from mamp_pipeline.store.read import Store


def suggest_next_command(store: "Store") -> tuple[object, ...]:
    """Return the words of the command that goes on with a store: its first protocol's split, then pre-training.

    A store without clips or without protocols is looked at, since it cannot be split.
    """
    from mamp_pipeline.places import is_file
    from mamp_pipeline.splits import manifest_path

    names = [protocol.name for protocol in store.metadata.dataset_spec().protocols]
    if not store.ids:
        return "info", store.path
    if not names:
        return "report", store.path, "--out", "report.html"
    ready = next((name for name in names if is_file(manifest_path(store.path, name))), None)
    if ready is None:
        return "build-splits", "--protocol", names[0], "--store", store.path
    return "train", "pretrain", *suggest_recipe_options(store.metadata, ready).split(), "--store", store.path
