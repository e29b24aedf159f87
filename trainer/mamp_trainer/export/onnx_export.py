"""Export to ONNX: a `.onnx` file for onnxruntime and other runtimes. The only module that imports onnx."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import onnx
import onnxruntime
import onnxscript  # noqa: F401 - torch's exporter needs it: say so before the work, not after
import torch
from torch import Tensor

from mamp_trainer.export.network import INPUT, ExportedNetwork, check_export
from mamp_trainer.export.torch_export import BATCH_AXIS, example_input


def export_onnx(
    network: ExportedNetwork, bodies: int, metadata: Mapping[str, str], file_name: str
) -> tuple[bytes, float]:
    """Return the content of an `.onnx` file, checked by onnxruntime.

    Args:
        network: set to evaluation.
        bodies: M.
        metadata: the file's metadata properties.
        file_name: the file, named in errors.

    Returns:
        The content, and the largest difference; see `check_export`.

    Raises:
        ExportError: onnxruntime's outputs differ from the network's.
    """
    with _silence_exporter():
        program = torch.onnx.export(
            network,
            example_input(network, bodies),
            input_names=[INPUT],
            output_names=list(network.outputs),
            dynamic_shapes=BATCH_AXIS,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise TypeError("torch.onnx.export returned no program")
    model = program.model_proto
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(clips: Tensor) -> Sequence[Tensor]:
        outputs = session.run(list(network.outputs), {INPUT: clips.numpy()})
        return [torch.from_numpy(output) for output in outputs]

    return content, check_export(network, run, bodies, file_name)


@contextmanager
def _silence_exporter() -> Iterator[None]:
    """Suppress torch's exporter's own warnings about deprecated and missing parts."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)
