"""Environment variables that set options (MAMPCTL_COMMAND_OPTION)."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption

PREFIX = "MAMPCTL"

OTHER_VARIABLES = ("MAMPCTL_DATA", "MAMPCTL_LAUNCHER")
"""The data folder; and, in a process of several, the one that started it."""

_KUBERNETES_SERVICE = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")

_EAGER_OPTIONS = ("install_completion", "show_completion")
"""Options that, as the eager ones do (--help, --version), do one thing instead of the command: no variable for them."""

OptionValues = dict[str, Any]
"""Values by parameter, and those of the commands below by their names: what click calls a default map."""


@dataclass(frozen=True)
class OptionVariable:
    """A variable and what it stands for.

    Attributes:
        name: `MAMPCTL_TRAIN_PRETRAIN_RECIPE`.
        command: `train pretrain`; empty for options of `mampctl` itself.
        option: `--recipe`.
        kind: how its value is read: `one`, `flag` or `list`.
        help: what the option is for.
    """

    name: str
    command: str
    option: str
    kind: str
    help: str


def read_option_values(command: TyperGroup, environment: Mapping[str, str]) -> OptionValues:
    """Return the options that the environment sets, for click to take where none are given.

    An empty variable counts as none. The values of an option that may be given several times stand in one variable,
    separated by blanks and quoted as in a shell.

    Args:
        command: the command at the top.
        environment: the process's.

    Raises:
        ValueError: quotes that do not close; names the variable.
    """
    return _read(command, (), environment)


def list_variables(command: TyperGroup) -> list[OptionVariable]:
    """Return the variables of all options, command by command, in the order of the help; each once."""
    variables = (
        OptionVariable(
            variable_name(path, option), " ".join(path), _long_name(option), _kind(option), option.help or ""
        )
        for path, each in _walk(command, ())
        for option in _options(each)
    )
    return list({variable.name: variable for variable in reversed(list(variables))}.values())[::-1]


def list_unknown_variables(command: TyperGroup, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the set variables that are named like ours and stand for nothing, each with the one most like it.

    What Kubernetes sets in its pods for services whose names begin with `mampctl` is not meant for us.
    """
    known = {*OTHER_VARIABLES, *(variable.name for variable in list_variables(command))}
    unknown = [name for name in sorted(environment) if name.startswith(f"{PREFIX}_") and name not in known]
    return {name: _closest_name(name, known) for name in unknown if not _KUBERNETES_SERVICE.search(name)}


def list_used_variables(command: TyperGroup, words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the variables that set options of the command that words call, and that no word sets instead."""
    called: TyperCommand | TyperGroup = command
    path: tuple[str, ...] = ()
    for word in words:
        below = dict(_subcommands(called)).get(word)
        if below is not None:
            called, path = below, (*path, word)
    given = {word.partition("=")[0] for word in words}
    options = [option for option in _options(called) if not option.envvar and given.isdisjoint(option.opts)]
    return [name for option in options if environment.get(name := variable_name(path, option))]


def _closest_name(name: str, known: Iterable[str]) -> str:
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), "")


def _read(command: TyperCommand | TyperGroup, path: tuple[str, ...], environment: Mapping[str, str]) -> OptionValues:
    settings: OptionValues = {}
    for option in _options(command):
        name = variable_name(path, option)
        if option.name and (text := environment.get(name)):
            settings[option.name] = _split(name, text) if option.multiple else text
    for word, below in _subcommands(command):
        settings[word] = _read(below, (*path, word), environment)
    return settings


def _split(name: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as problem:
        raise ValueError(f"{name}: {problem}") from None


def _walk(
    command: TyperCommand | TyperGroup, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], TyperCommand | TyperGroup]]:
    yield path, command
    for word, below in _subcommands(command):
        yield from _walk(below, (*path, word))


def _subcommands(command: TyperCommand | TyperGroup) -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    if isinstance(command, TyperGroup):
        for word, below in command.commands.items():
            if isinstance(below, TyperCommand | TyperGroup):
                yield word, below


def _options(command: TyperCommand | TyperGroup) -> list[TyperOption]:
    options = [option for option in command.params if isinstance(option, TyperOption)]
    return [option for option in options if not option.is_eager and option.name not in _EAGER_OPTIONS]


def variable_name(path: tuple[str, ...], option: TyperOption) -> str:
    """Return the name: one that the option has itself, where it is every command's, or one made of its path."""
    if isinstance(option.envvar, str):
        return option.envvar
    return "_".join((PREFIX, *path, _long_name(option).lstrip("-"))).replace("-", "_").upper()


def _long_name(option: TyperOption) -> str:
    return max(option.opts, key=len)


def _kind(option: TyperOption) -> str:
    return "flag" if option.is_flag else "list" if option.multiple else "one"
