"""Writes docs/cli.md, the reference of all commands, from the command tree: `python docs/cli.py`."""

import re
from pathlib import Path

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from mampctl.runtime.app import root_command
from mampctl.runtime.environment import variable_options, walk_commands

PAGE = Path(__file__).with_suffix(".md")
HEAD = """<!-- Written by `python docs/cli.py`: do not edit. -->

# Command line

`mampctl --help` lists the commands, `mampctl COMMAND --help` the options of one. Every option has an environment
variable that sets it where the option is not given: see [environment and batch jobs](environment.md). Flags take `1` or
`0` there; options that may be repeated take several values, separated by blanks and quoted as in a shell.
"""
KINDS = {
    "list[str]": "TEXT",
    "list[int]": "NUMBER",
    "str": "TEXT",
    "int": "NUMBER",
    "int range": "NUMBER",
    "float": "NUMBER",
}


def page() -> str:
    """Return the whole page."""
    root = root_command()
    parts = [HEAD, _global_options(root), _index(root)]
    for path, command in walk_commands(root):
        if path and not isinstance(command, TyperGroup):
            parts.append(_section(path, command, root))
    return "\n".join(parts)


def _global_options(root: TyperGroup) -> str:
    rows = [_option_row(option, typer.Context(root, info_name="mampctl")) for option in _shared(root)]  # type: ignore[arg-type]
    rows += [
        "| `--help` | Show a command's help. | |",
        "| `--version` | Print the version. Before any command only. | |",
    ]
    rows += [
        f"| `--{name}-completion` | {text} Before any command only. | |"
        for name, text in (("install", "Install completion for the shell."), ("show", "Print the completion script."))
    ]
    return "\n".join(("## Options of every command", "", "| option | | variable |", "|---|---|---|", *rows, ""))


def _index(root: TyperGroup) -> str:
    rows = []
    for path, command in walk_commands(root):
        if path and not isinstance(command, TyperGroup):
            name = " ".join(path)
            rows.append(f"| [`{name}`](#mampctl-{name.replace(' ', '-')}) | {_first_sentence(command)} |")
    return "\n".join(("## Commands", "", "| command | |", "|---|---|", *rows, ""))


def _section(path: tuple[str, ...], command: TyperCommand, root: TyperGroup) -> str:
    context = typer.Context(command, info_name=" ".join(path))  # type: ignore[arg-type]
    command.get_help(context)  # fills in what is looked up for the help only
    lines = [f"## `mampctl {' '.join(path)}`", "", _paragraphs(command.help), ""]
    arguments = [parameter for parameter in command.params if isinstance(parameter, TyperArgument)]
    if arguments:
        lines += ["| argument | |", "|---|---|"]
        lines += [_help_row(argument, context) for argument in arguments] + [""]
    shared = {option.name for option in _shared(root)}
    options = [option for option in variable_options(command) if option.name not in shared]
    if options:
        lines += ["| option | | variable |", "|---|---|---|"]
        lines += [_option_row(option, context) for option in options] + [""]
    return "\n".join(lines)


def _shared(root: TyperGroup) -> list[TyperOption]:
    """Return the options that every command has."""
    return variable_options(root)


def _option_row(option: TyperOption, context: typer.Context) -> str:
    return f"{_help_row(option, context)} `{option.envvar}` |"


def _help_row(parameter: TyperArgument | TyperOption, context: typer.Context) -> str:
    declaration, text = parameter.get_help_record(context) or ("", "")  # type: ignore[arg-type]
    return f"| `{_plain_kinds(declaration)}` | {_cell(text)} |"


def _plain_kinds(declaration: str) -> str:
    """Replace names of Python's types by words, and choices in brackets by choices alone."""
    for kind, word in KINDS.items():
        declaration = declaration.replace(f"<{kind}>", word)
    declaration = declaration.replace("<", "").replace(">", "")
    with_metavar = re.fullmatch(r"([A-Z\[\]. ]+) (?:TEXT|Path|list\[Path\])", declaration)
    return (with_metavar[1] if with_metavar else declaration).replace("|", "\\|")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (text or "").split("\n\n"))


def _first_sentence(command: TyperCommand | TyperGroup) -> str:
    return _cell(re.split(r"(?<=\.)\s", _paragraphs(command.help), maxsplit=1)[0])


if __name__ == "__main__":
    PAGE.write_text(page())
