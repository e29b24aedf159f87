"""Text that a user names: a built-in YAML file of a package by its name, or a file of the user's own by its path."""

import difflib
from collections.abc import Callable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from mamp_schemas.errors import ConfigError, MampctlError
from mamp_schemas.io.regular_files import SETTINGS_BYTES, read_regular_text

_SUFFIXES = (".yaml", ".yml")


def builtin_files(package: str, folder: str = "") -> dict[str, Traversable]:
    """Return the YAML files of a package, or of a folder in it, by name without suffix; none if there is no folder."""
    root = files(package) / folder if folder else files(package)
    entries = root.iterdir() if root.is_dir() else ()
    return {entry.name.removesuffix(".yaml"): entry for entry in entries if entry.name.endswith(".yaml")}


def read_named_file(
    name_or_file: str,
    builtin: Mapping[str, Traversable],
    *,
    noun: str,
    group: str = "",
    others: Callable[[], Mapping[str, str]] = dict,
    file_error: type[MampctlError] = ConfigError,
    name_error: type[MampctlError] = ConfigError,
) -> str:
    """Return the text of a built-in file or of a user's own.

    Args:
        name_or_file: the name of a built-in file, or a path that ends in `.yaml` or `.yml`.
        builtin: the built-in files by name.
        noun: what such a file holds, for messages: `recipe`.
        group: which of them are looked up, for messages: `linear`.
        others: texts of other distributions by name, asked for where no built-in file has the name.
        file_error: what to raise for a file that cannot be read.
        name_error: what to raise for an unknown name.

    Raises:
        MampctlError: of class `file_error` or `name_error`.
    """
    if name_or_file.endswith(_SUFFIXES):
        try:
            return read_regular_text(Path(name_or_file), SETTINGS_BYTES)
        except (OSError, UnicodeDecodeError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else problem
            raise file_error(
                f"{noun} file {name_or_file} cannot be read: {reason}",
                remedy=f"Name a readable YAML file, or a built-in {noun} without a suffix.",
            ) from None
    if name_or_file in builtin:
        return builtin[name_or_file].read_text(encoding="utf-8")
    brought = others()
    if name_or_file in brought:
        return brought[name_or_file]
    names = sorted({*builtin, *brought})
    near = difflib.get_close_matches(name_or_file, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise name_error(
        f"no {f'{group} {noun}'.strip()} is called '{name_or_file}'.{hint} The built-in ones are: {', '.join(names)}",
        remedy="Choose one of them, or name a file that ends in .yaml.",
    )
