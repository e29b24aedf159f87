"""LLVM operations of the compiled parser on blocks of 64 bytes.

Numba has none of them: a vector comparison whose result is a mask, an unaligned load of a word, a prefetch, the lowest
bit and the number of bits of a mask. Byte loops in their place take eight times as long.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

from mamp_pipeline.cleaning.jit import inline_njit

BLOCK = 64
_PREFETCH_BYTES = 2048

_BYTE = ir.IntType(8)
_WORD = ir.IntType(64)
_BYTES = ir.VectorType(_BYTE, BLOCK)
_LANES = ir.VectorType(ir.IntType(32), BLOCK)


def _load(context: Any, builder: Any, signature: Any, args: Any, kind: Any) -> Any:
    """Load a value of a kind from the array that is the first argument, at the index that is the second."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    pointer = builder.bitcast(builder.gep(data, [args[1]]), kind.as_pointer())
    return builder.load(pointer, align=1)


def _broadcast_byte(builder: Any, value: Any) -> Any:
    """Return a block with the low byte of a value in every lane."""
    undefined = ir.Constant(_BYTES, ir.Undefined)
    byte = builder.trunc(value, _BYTE)
    single = builder.insert_element(undefined, byte, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(_LANES, [0] * BLOCK))


def _intrinsic(function: Callable[..., Any]) -> Any:
    """Make a compiled operation of a function that gives an operation's signature and its code."""
    return intrinsic(function)


@_intrinsic
def _range_mask(_typing: Any, text: Any, _at: Any, _first: Any, _count: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _load(context, builder, signature, args, _BYTES)
        first_byte, count_bytes = _broadcast_byte(builder, args[2]), _broadcast_byte(builder, args[3])
        in_range = builder.icmp_unsigned("<", builder.sub(block, first_byte), count_bytes)
        return builder.bitcast(in_range, _WORD)

    return types.uint64(text, types.intp, types.intp, types.intp), generate


@_intrinsic
def load_word(_typing: Any, text: Any, _at: Any) -> Any:
    """Return the 8 bytes of `text[at : at + 8]`, the first one lowest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load(context, builder, signature, args, _WORD)

    return types.uint64(text, types.intp), generate


@_intrinsic
def _prefetch(_typing: Any, text: Any, _at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [data.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [data.type], kind)
        to_read, keep, as_data = number(0), number(3), number(1)
        builder.call(function, [builder.gep(data, [args[1]]), to_read, keep, as_data])
        return context.get_dummy_value()

    return types.none(text, types.intp), generate


@_intrinsic
def lowest_bit(_typing: Any, _mask: Any) -> Any:
    """Return the index of a mask's lowest bit, 64 where there is none."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@_intrinsic
def count_ones(_typing: Any, _mask: Any) -> Any:
    """Return the number of a mask's bits."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), generate


@inline_njit
def byte_mask(text: Any, at: int, first: int, count: int) -> Any:
    """Mask of the bytes from `at` on that are in `range(first, first + count)`; none is beyond the end.

    Args:
        text: (n,) uint8 with n >= 64.
        at: where the block starts, 0..n-1.
        first: the first byte value looked for.
        count: how many byte values from there.
    """
    start = min(at, text.size - BLOCK)
    return _range_mask(text, start, first, count) >> np.uint64(at - start)


@inline_njit
def prefetch_lines(text: Any, at: int) -> None:
    """Ask the memory for what will be read some twenty lines after `at`; asking beyond the end is harmless."""
    _prefetch(text, at + _PREFETCH_BYTES)
    _prefetch(text, at + _PREFETCH_BYTES + BLOCK)
