"""`mampctl export-model`: write a trained network as a file that runs without mampctl."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mamp_schemas.errors import UsageError
from mamp_schemas.io.atomic import require_new_file
from mamp_schemas.models.dataset import dataset_spec
from mampctl.defaults import find_layout, select_checkpoint
from mampctl.options import (
    CheckpointArgument,
    CheckpointOption,
    JsonOption,
    LayoutOption,
    PolicyOption,
    ReleasedRecipeOption,
    path_option,
)
from mampctl.output.console import print_json, print_line, print_summary
from mampctl.runtime.errors import needed_extras

if TYPE_CHECKING:
    from mamp_trainer.export.network import ExportedNetwork

    Maker = Callable[[ExportedNetwork, int, Mapping[str, str], str], tuple[bytes, float]]


def export_model(
    checkpoint: CheckpointArgument,
    out: Annotated[
        Path,
        path_option("FILE.onnx, or FILE.pt2 for torch.export.load."),
    ],
    recipe: ReleasedRecipeOption = None,
    at: CheckpointOption = None,
    policy: PolicyOption = None,
    layout: LayoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a trained network as ONNX or torch.export.

    The network is a classifier, or the encoder of a pre-training. The file is read back, run and compared.
    """
    make = _choose_exporter(out)
    require_new_file(out)
    with needed_extras():
        from mamp_schemas.io.atomic import write_file
        from mamp_trainer.checkpoints.provenance import read_training_policy, read_training_recipe
        from mamp_trainer.export.network import export_metadata, load_exported_network

    checkpoint = select_checkpoint(checkpoint, at)
    trained = read_training_recipe(checkpoint, recipe)
    described = find_layout(trained.dataset, layout)
    spec = dataset_spec(trained.dataset, described)
    cleaning = spec.policy(read_training_policy(checkpoint, policy))
    network = load_exported_network(checkpoint, trained)
    metadata = export_metadata(network, trained, spec, cleaning, spec.class_names, described)
    content, difference = make(network, spec.bodies, metadata, str(out))
    write_file(out, content)
    result = {"file": str(out), "bytes": len(content), "outputs": network.outputs, "difference": difference, **metadata}
    if as_json:
        print_json(result)
        return
    print_summary(out, f"{len(content) / 1e6:,.1f} MB, outputs {' and '.join(network.outputs)}")
    print_line(metadata["input"])
    print_line(f"read back and run, its outputs differ from the model's by at most {difference:.1e}")


def _choose_exporter(out: Path) -> "Maker":
    """Return the exporter for the suffix of a file.

    Raises:
        UsageError: no format has this suffix.
        MissingExtraError: a package for this format is not installed.
    """
    with needed_extras():
        if out.suffix == ".onnx":
            from mamp_trainer.export.onnx_export import export_onnx

            return export_onnx
        if out.suffix == ".pt2":
            from mamp_trainer.export.torch_export import export_torch

            return export_torch
    raise UsageError(f"--out {out}: no format ends in '{out.suffix}'", remedy="Name FILE.onnx or FILE.pt2.")
