"""CONTRIBUTING.md names every package of the tree, and no other; the files it names exist."""

import re

import pytest

from tests.docs.commands import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PACKAGES = ("schemas/mamp_schemas", "pipeline/mamp_pipeline", "trainer/mamp_trainer", "cli/mampctl")
FILES = re.findall(r"^\| [^|]+ \| `([^`|]+/[^`|]+)` \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_contributing__names_every_package(package: str) -> None:
    section = TEXT.partition(f"### Packages in `{package}`\n")[2].partition("\n#")[0]
    named = re.findall(r"^\| `([^`]+)` \| [^|]+\.[^|]* \|$", section, re.MULTILINE)
    inside = [file.parent.relative_to(ROOT / package).as_posix() for file in (ROOT / package).rglob("__init__.py")]
    assert sorted(named) == sorted(name for name in inside if name != ".")


def test_contributing__names_files() -> None:
    assert len(FILES) >= 6


@pytest.mark.parametrize("file", FILES)
def test_contributing__names_files_that_exist(file: str) -> None:
    assert (ROOT / file).is_file(), f"CONTRIBUTING.md names {file}: correct it"
