"""Compiled operations on 64 bytes or bits at a time that numba itself does not offer.

numba's cache watches the file of the function it compiles, not this one: after a change here, touch
ntu_kernel.py. Bit k of a mask stands for byte k of its block.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

BLOCK = 64

_BYTE = ir.IntType(8)
_WORD = ir.IntType(64)
_BYTES = ir.VectorType(_BYTE, BLOCK)
_LANES = ir.VectorType(ir.IntType(32), BLOCK)


def _load(context: Any, builder: Any, array: tuple[Any, Any], at: Any, kind: Any) -> Any:
    """Load a value of a kind from an array of bytes, aligned or not."""
    array_type, value = array
    data = context.make_array(array_type)(context, builder, value).data
    pointer = builder.bitcast(builder.gep(data, [at]), kind.as_pointer())
    return builder.load(pointer, align=1)


def _spread(builder: Any, byte: Any) -> Any:
    """Return a block with one byte in every place."""
    undefined = ir.Constant(_BYTES, ir.Undefined)
    single = builder.insert_element(undefined, byte, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(_LANES, [0] * BLOCK))


@intrinsic
def within(_typing: Any, text: Any, at: Any, first: Any, count: Any) -> Any:
    """Mask of the bytes of `text[at:at + 64]` that are in `range(first, first + count)`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _load(context, builder, (signature.args[0], args[0]), args[1], _BYTES)
        first_byte, count_byte = (_spread(builder, builder.trunc(value, _BYTE)) for value in args[2:])
        found = builder.icmp_unsigned("<", builder.sub(block, first_byte), count_byte)
        return builder.bitcast(found, _WORD)

    return types.uint64(text, types.intp, types.intp, types.intp), generate


@intrinsic
def word(_typing: Any, text: Any, at: Any) -> Any:
    """Return the 8 bytes of `text[at:at + 8]`, the first one lowest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load(context, builder, (signature.args[0], args[0]), args[1], _WORD)

    return types.uint64(text, types.intp), generate


@intrinsic
def lowest(_typing: Any, mask: Any) -> Any:
    """Return the place of a mask's lowest bit, 64 where there is none."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def ones(_typing: Any, mask: Any) -> Any:
    """Return the number of a mask's bits."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), generate
