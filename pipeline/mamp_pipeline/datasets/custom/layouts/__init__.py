"""The built-in layouts, one YAML file each, and reading a layout by name or from a file."""

from importlib.resources import files
from pathlib import Path

from mamp_schemas.errors import ConfigError
from mamp_schemas.models.base import parse_model_data, parse_yaml
from mamp_schemas.models.layout import Layout

_SUFFIXES = (".yaml", ".yml")


def load_layout(name_or_file: str) -> Layout:
    """Read and validate a layout.

    Args:
        name_or_file: the name of a built-in layout, or a path that ends in `.yaml` or `.yml`.

    Raises:
        ConfigError: no such layout or file, or it does not validate; names the keys.
    """
    return parse_model_data(Layout, parse_yaml(_read_layout_text(name_or_file), name_or_file), f"layout {name_or_file}")


def list_layouts() -> list[str]:
    """Return the names of the built-in layouts, sorted."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in files(__name__).iterdir() if entry.name.endswith(".yaml")
    )


def _read_layout_text(name_or_file: str) -> str:
    if name_or_file.endswith(_SUFFIXES):
        try:
            return Path(name_or_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigError(
                f"layout file {name_or_file} cannot be read: {problem}",
                remedy="Name a readable YAML file, or a built-in layout without a suffix.",
            ) from None
    names = list_layouts()
    if name_or_file not in names:
        raise ConfigError(
            f"no layout is called '{name_or_file}'; the built-in ones are: {', '.join(names)}",
            remedy="Choose one of them, or name a file that ends in .yaml.",
        )
    return (files(__name__) / f"{name_or_file}.yaml").read_text(encoding="utf-8")
