"""A stack machine for pickles that nobody has to trust: nothing that a pickle names is imported or called.

A pickle is a program for a small stack machine. This is a part of that machine: plain values and containers, and what
its user lets stand for a name. The size of the file bounds time and memory. Nothing nested is hashed, compared or
printed, because a few bytes of nested tuples that share their parts take for ever to hash.
"""

import pickletools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pickle import UnpicklingError
from typing import Any, BinaryIO, Final

MAX_INSTRUCTIONS: Final = 20_000_000
"""The pickle of NTU-120 has about 5 million. Each makes an object of some 60 bytes at most, besides the file's own."""

FREE_INSTRUCTIONS: Final = 1_000_000
BYTES_PER_INSTRUCTION: Final = 8
"""A file may have so many instructions, and one more for so many bytes: names take 10 bytes each, arrays more."""

MAX_MARKS: Final = 10_000
"""Containers that are open at a time. A pickler nests about 1,000."""

MAX_OTHER_KEYS: Final = 10_000
"""Dictionary keys that are not strings. Numbers can be chosen so that each key collides with all keys before it."""

MAX_BITS: Final = 128
"""Of a whole number. The states of random number generators have 128."""

PARSE_ERRORS = (EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError, MemoryError)
"""What a pickle that is truncated or altered raises, besides `UnpicklingError`."""

_ENCODE = ("_codecs", "encode")


class Stateful(ABC):
    """What a pickle may give a state."""

    __slots__ = ()

    @abstractmethod
    def set_state(self, state: object) -> None:
        """Take over a state.

        Raises:
            UnpicklingError: it is not of the form expected.
        """


class Ignored(Stateful):
    """An object that is not read: its arguments, items and state are dropped."""

    __slots__ = ()

    def __init__(self, *_: object) -> None:
        pass

    def set_state(self, state: object) -> None:
        """Drop a state."""


class NamedConstructor:
    """Replaces a name in a pickle. It can only be called."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., object]) -> None:
        self.make = make


class PickleMachine:
    """Runs the instructions of a pickle, or of several that follow each other in a file.

    Args:
        size: of the file, bytes. Copies that instructions ask for may not add up to more.
        find: returns what stands for a module and a name in it, or None.
        load_persistent: returns what stands for a persistent id; None if there may be none.
    """

    def __init__(
        self,
        size: int,
        find: Callable[[tuple[str, str]], Callable[..., object] | None],
        load_persistent: Callable[[object], object] | None = None,
    ) -> None:
        self._find = find
        self._load_persistent = load_persistent
        self._size = size
        self._max_instructions = min(MAX_INSTRUCTIONS, FREE_INSTRUCTIONS + size // BYTES_PER_INSTRUCTION)
        self._encoded = 0
        self._other_keys = 0
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._names: dict[tuple[str, str], NamedConstructor] = {}

    def run(self, file: BinaryIO) -> object:
        """Return what the pickle makes.

        Raises:
            UnpicklingError: it asks for something that is not allowed.
            Exception: one of `PARSE_ERRORS`; it is damaged.
        """
        handlers = {name: method.__get__(self) for name, method in _HANDLERS.items()}
        for count, (instruction, argument, _) in enumerate(pickletools.genops(file)):
            name = instruction.name
            if name in _VALUES:
                if type(argument) is int and argument.bit_length() > MAX_BITS:
                    raise UnpicklingError(f"a whole number of {argument.bit_length():,} bits, more than {MAX_BITS}")
                self._stack.append(argument)
            elif name in handlers:
                handlers[name](argument)
            elif name in _PUTS:
                if not isinstance(argument, int) or argument > count:
                    raise UnpicklingError(f"it gives an object the number {argument} after {count} instructions")
                self._memo[argument] = self._stack[-1]
            elif name not in _IGNORED:
                raise UnpicklingError(f"it uses the instruction {name}, which plain values do not need")
            if count > self._max_instructions:
                raise UnpicklingError(f"it has more than {self._max_instructions:,} instructions")
        return self._stack.pop()

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, number: int) -> None:
        self._stack.append(self._memo[number])

    def _mark(self, _: None) -> None:
        if len(self._outer) >= MAX_MARKS:
            raise UnpicklingError(f"it nests more than {MAX_MARKS:,} containers")
        self._outer.append(self._stack)
        self._stack = []

    def _pop_to_mark(self, _: None = None) -> list[Any]:
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _pop(self, _: None) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_to_mark()

    def _tuple(self, _: None) -> None:
        items = tuple(self._pop_to_mark())
        self._stack.append(items)

    def _short_tuple(self, length: int) -> None:
        if len(self._stack) < length:
            raise IndexError(f"a tuple of {length} of {len(self._stack)} values")
        self._stack[-length:] = [tuple(self._stack[-length:])]

    def _list(self, _: None) -> None:
        items = self._pop_to_mark()
        self._stack.append(items)

    def _dict(self, _: None) -> None:
        items = self._pop_to_mark()
        self._stack.append({})
        self._set_items(items)

    def _append(self, _: None) -> None:
        self._append_all([self._stack.pop()])

    def _append_all(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Ignored):
            return
        if type(target) is not list:
            raise UnpicklingError(f"it appends to a {type(target).__name__}")
        target.extend(items)

    def _set_item(self, _: None) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Ignored):
            return
        if not isinstance(target, dict) or len(items) % 2:
            raise UnpicklingError(f"it sets an item of a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in _KEY_TYPES:
                raise UnpicklingError(f"a dictionary whose key is a {type(key).__name__}, not a string or a number")
            if type(key) is not str:
                self._other_keys += 1
                if self._other_keys > MAX_OTHER_KEYS:
                    raise UnpicklingError(f"dictionaries with more than {MAX_OTHER_KEYS:,} keys that are no strings")
            if key in target:
                raise UnpicklingError(f"a dictionary that has the key {ascii(key)[:80]} twice")
            target[key] = value

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(self._named(module, name))

    def _stack_global(self, _: None) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not (type(name) is str and type(module) is str):
            raise UnpicklingError("a name that is no string")
        self._stack.append(self._named(module, name))

    def _named(self, module: str, name: str) -> NamedConstructor:
        if (module, name) not in self._names:
            make = self._encode if (module, name) == _ENCODE else self._find((module, name))
            if make is None:
                shown = ascii(f"{module[:80]}.{name[:80]}")[1:-1]
                raise UnpicklingError(f"it asks for {shown}, which is neither an array nor a plain value")
            self._names[module, name] = NamedConstructor(make)
        return self._names[module, name]

    def _instance(self, argument: str) -> None:
        self._global(argument)
        raise UnpicklingError(f"it makes an object of {ascii(argument)[1:81]}")

    def _reduce(self, _: None) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not (type(function) is NamedConstructor and type(arguments) is tuple):
            raise UnpicklingError(f"it calls a {type(function).__name__}")
        self._stack.append(function.make(*arguments))

    def _build(self, _: None) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if not isinstance(target, Stateful):
            raise UnpicklingError(f"it sets the state of a {type(target).__name__}, which is no array")
        target.set_state(state)

    def _persistent(self, _: None) -> None:
        if self._load_persistent is None:
            raise UnpicklingError("it asks for a persistent object, which plain values do not need")
        self._stack.append(self._load_persistent(self._stack.pop()))

    def _encode(self, text: object, codec: object) -> bytes:
        if not (isinstance(text, str) and codec == "latin1"):
            raise UnpicklingError("bytes of an encoding other than latin1")
        self._encoded += len(text)
        if self._encoded > self._size:
            raise UnpicklingError(f"it makes more bytes of text than its {self._size:,} bytes hold")
        return text.encode("latin1")


_KEY_TYPES = frozenset({str, bytes, int, float, bool, type(None)})
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_VALUES = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
})  # fmt: skip
"""Instructions that push their argument."""

_HANDLERS: Mapping[str, Callable[[PickleMachine, Any], object]] = {
    "NONE": lambda machine, _: machine._push(None),
    "NEWTRUE": lambda machine, _: machine._push(True),
    "NEWFALSE": lambda machine, _: machine._push(False),
    "EMPTY_LIST": lambda machine, _: machine._push([]),
    "EMPTY_SET": lambda machine, _: machine._push([]),
    "EMPTY_DICT": lambda machine, _: machine._push({}),
    "EMPTY_TUPLE": lambda machine, _: machine._push(()),
    "MEMOIZE": PickleMachine._memoize,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), PickleMachine._get),
    "MARK": PickleMachine._mark,
    "POP": PickleMachine._pop,
    "POP_MARK": PickleMachine._pop_to_mark,
    "TUPLE": PickleMachine._tuple,
    "TUPLE1": lambda machine, _: machine._short_tuple(1),
    "TUPLE2": lambda machine, _: machine._short_tuple(2),
    "TUPLE3": lambda machine, _: machine._short_tuple(3),
    "LIST": PickleMachine._list,
    "FROZENSET": PickleMachine._tuple,
    "DICT": PickleMachine._dict,
    "APPEND": PickleMachine._append,
    "APPENDS": lambda machine, _: machine._append_all(machine._pop_to_mark()),
    "ADDITEMS": lambda machine, _: machine._append_all(machine._pop_to_mark()),
    "SETITEM": PickleMachine._set_item,
    "SETITEMS": lambda machine, _: machine._set_items(machine._pop_to_mark()),
    "GLOBAL": PickleMachine._global,
    "STACK_GLOBAL": PickleMachine._stack_global,
    "INST": PickleMachine._instance,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), PickleMachine._reduce),
    "BINPERSID": PickleMachine._persistent,
    "BUILD": PickleMachine._build,
}
