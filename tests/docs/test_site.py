"""The site builds, is complete and loads nothing from other servers; the documentation names code that exists."""

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LOADED = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc=["']?(?:https?:)?//|<link[^>]*\shref=["']?(?:https?:)?//""")
STYLED = re.compile(r"""@import[^;]*(?:https?:)?//|url\(["']?(?:https?:)?//""")
NAMES = re.findall(r"`(mamp_(?:pipeline|trainer|schemas)(?:\.\w+)+)`", (DOCS / "how-it-works.md").read_text())


def test_site__every_page_is_in_the_navigation(site: Path) -> None:
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert pages == set(listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert {page.name for page in site.glob("*.html")} == {f"{Path(page).stem}.html" for page in pages} | {"404.html"}


def listed(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    assert not isinstance(parts, str)
    return [page for part in parts for page in listed(part)]  # type: ignore[attr-defined]


def test_site__loads_nothing_from_elsewhere(site: Path) -> None:
    patterns = {".html": LOADED, ".css": STYLED}
    pages = [page for page in site.rglob("*") if page.suffix in patterns]
    loaded = {page.name: urls for page in pages if (urls := patterns[page.suffix].findall(page.read_text()))}
    assert loaded == {}


def test_how_it_works__names_code() -> None:
    assert len(NAMES) > 30


@pytest.mark.parametrize("name", sorted(NAMES))
def test_how_it_works__names_code_that_exists(name: str) -> None:
    try:
        resolve_name(name)
    except (ImportError, AttributeError) as problem:
        pytest.fail(f"docs/how-it-works.md names {name}: correct the page ({problem})")
