"""Numeric precision of the network, and its compilation by torch."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from mamp_schemas.errors import RecipeError
from mamp_schemas.models.recipe import Precision


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context of a forward pass: `bf16` has its matrix products and its attention in bfloat16.

    Weights stay float32, and so do the residual stream, normalisation, masking, targets and loss.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def matmul_dtype(precision: Precision) -> torch.dtype:
    """Return the dtype of the factors of the network's matrix products."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


@contextmanager
def matmul_precision(precision: Precision) -> Iterator[None]:
    """Allow TensorFloat32 products of float32 matrices where the recipe says so; restore the setting afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def compile_network(network: nn.Module, device: torch.device) -> None:
    """Compile a network's forward and backward pass by torch; its parameters keep their names.

    Shapes are static as long as they do not change. The number of sequences changes with `empty_bodies: skip`, and
    where features are reused: torch then compiles a second time, for any number.

    Raises:
        RecipeError: torch cannot compile on this machine.
    """
    try:
        torch.compile(_compile_probe, fullgraph=True)(torch.zeros(8, device=device))
    except (RuntimeError, ImportError, OSError) as problem:
        reason = " ".join(str(problem).splitlines()[:2])
        raise RecipeError(
            f"compile is true, but torch cannot compile for '{device.type}' here: {reason}",
            remedy="Install a C++ compiler (for a GPU also Triton), or set compile=false.",
        ) from problem
    network.compile(fullgraph=True)


def _compile_probe(x: torch.Tensor) -> torch.Tensor:
    return x.sin() + 1
