"""Files that the documentation names exist."""

import re
from pathlib import Path

import pytest

from tests.docs.commands import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FILE = re.compile(r"\b(?:tests|docker|schemas|pipeline|trainer|cli)/[\w./-]+\.(?:py|yaml|sbatch|env)\b")
MODULE = re.compile(r"python -m (tests(?:\.\w+)+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page__names_files_that_exist(page: Path) -> None:
    text = page.read_text()
    named = {*FILE.findall(text), *(f"{module.replace('.', '/')}.py" for module in MODULE.findall(text))}
    assert sorted(file for file in named if not (ROOT / file).is_file()) == []
