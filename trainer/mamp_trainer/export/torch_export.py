"""Export by torch: a `.pt2` file that `torch.export.load` reads."""

import io
import json
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.export import Dim

from mamp_trainer.export.network import INPUT, ExportedNetwork, check_export, synthetic_clips

METADATA_FILE = "mampctl.json"
"""The metadata file inside a `.pt2` file: see `extra_files` of `torch.export.load`."""


BATCH_AXIS = {INPUT: {0: Dim("batch", min=1)}}
"""The batch axis has any length."""


def example_input(network: ExportedNetwork, bodies: int) -> tuple[Tensor]:
    """Return the input that a network is traced with: two clips; M is fixed by it."""
    spec = network.encoder.spec
    return (synthetic_clips(2, bodies, spec.frames, spec.joints),)


@torch.no_grad()
def export_torch(
    network: ExportedNetwork, bodies: int, metadata: Mapping[str, str], file_name: str
) -> tuple[bytes, float]:
    """Return the content of a `.pt2` file, checked as it is read back.

    Args:
        network: set to evaluation.
        bodies: M.
        metadata: the file's metadata.
        file_name: the file, named in errors.

    Returns:
        The content, and the largest difference; see `check_export`.

    Raises:
        ExportError: the outputs of the file, read back, differ from the network's.
    """
    buffer = io.BytesIO()
    program = torch.export.export(network, example_input(network, bodies), dynamic_shapes=BATCH_AXIS)
    torch.export.save(program, buffer, extra_files={METADATA_FILE: json.dumps(dict(metadata))})
    content = buffer.getvalue()
    module = torch.export.load(io.BytesIO(content)).module()
    return content, check_export(network, module, bodies, file_name)
