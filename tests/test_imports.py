"""Pipeline and trainer import without each other's packages, and the command line loads nothing heavy."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

CODE = """
import importlib, importlib.abc, pkgutil, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {forbidden!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
package = importlib.import_module({package!r})
count = 0
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
    count += 1
print(count)
"""

PIPELINE = ("torch", "safetensors", "tensorboard", "obstore", "mamp_trainer", "mampctl")
TRAINER = ("dask", "distributed", "h5py", "numba", "obstore", "mamp_pipeline", "mampctl")
SCHEMAS = (*PIPELINE, *TRAINER, "mamp_pipeline", "typer", "rich")
MODELS = (*SCHEMAS, "zarr")
PACKAGES = ("mamp_schemas", "mamp_pipeline", "mamp_trainer", "mampctl")


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("mamp_pipeline", PIPELINE),
        ("mamp_trainer", TRAINER),
        ("mamp_schemas", SCHEMAS),
        ("mamp_schemas.models", MODELS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_import__every_module_without_the_forbidden_packages(package: str, forbidden: tuple[str, ...]) -> None:
    code = CODE.format(package=package, forbidden=set(forbidden))
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    assert int(outcome.stdout) >= 8


def imports_of(path: Path, modules: Mapping[str, Path]) -> set[str]:
    """Return which of the modules a file imports, at its top or inside functions but not for types alone."""
    tree, found = ast.parse(path.read_text()), set[str]()
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    for_types = {id(node) for block in blocks for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & modules.keys()) or {node.module}
    return found & modules.keys()


def test_import__no_cycles() -> None:
    roots = [Path(importlib.import_module(name).__path__[0]) for name in PACKAGES]
    modules = {
        ".".join(file.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for root in roots
        for file in root.rglob("*.py")
    }
    graph = {name: imports_of(file, modules) - {name} for name, file in modules.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules) > 200


def test_help__imports_nothing_heavy() -> None:
    heavy = "('torch', 'zarr', 'numba', 'numpy')"
    code = f"import sys, mampctl.runtime.app; print([name for name in {heavy} if name in sys.modules])"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "[]"
