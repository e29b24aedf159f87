"""The built-in layouts, one YAML file each, and reading a layout by name or from a file."""

from mamp_schemas.io.named_files import builtin_files, read_named_file
from mamp_schemas.models.base import parse_model_data, parse_yaml
from mamp_schemas.models.layout import Layout


def load_layout(name_or_file: str) -> Layout:
    """Read and validate a layout.

    Args:
        name_or_file: the name of a built-in layout, or a path that ends in `.yaml` or `.yml`.

    Raises:
        ConfigError: no such layout or file, or it does not validate; names the keys.
    """
    text = read_named_file(name_or_file, builtin_files(__name__), noun="layout")
    return parse_model_data(Layout, parse_yaml(text, name_or_file), f"layout {name_or_file}")


def list_layouts() -> list[str]:
    """Return the names of the built-in layouts, sorted."""
    return sorted(builtin_files(__name__))
