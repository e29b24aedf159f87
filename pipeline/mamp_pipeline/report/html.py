"""Self-contained HTML pages: template, style, scripts and data in one file that needs no network."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamp_schemas.models.skeleton import Skeleton

_QUANTISATION_STEPS = 32_767
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def embed_json(data: Any) -> str:
    """Return JSON that is safe inside a script element, whatever its strings contain.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(data, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def pack_skeleton(skeleton: Skeleton) -> dict[str, Any]:
    """Return joint names and parents."""
    return {"joints": skeleton.joints, "parents": skeleton.parents}


def quantise(values: NDArray[np.floating]) -> tuple[float, str]:
    """Return the largest magnitude of numbers, and the numbers as base64 in steps of 1/32767 of it."""
    extent = float(np.abs(values).max()) or 1.0
    return extent, encode_base64(np.round(values / extent * _QUANTISATION_STEPS).astype("<i2"))


def round_table(values: NDArray[np.floating], digits: int = 5) -> list[Any]:
    """Return a table as lists of rounded numbers, None for NaN."""
    return [[None if np.isnan(cell) else round(float(cell), digits) for cell in row] for row in values]


def encode_base64(values: NDArray[Any]) -> str:
    """Return the bytes of an array as base64."""
    return base64.b64encode(values.tobytes()).decode("ascii")


_VIEWER_SCRIPTS = ("colours.js", "clip_data.js", "skeleton.js", "token_maps.js", "viewer.js")
_CLIP_SCRIPTS = (*_VIEWER_SCRIPTS, "clip_page.js")
_STORE_SCRIPTS = (*_VIEWER_SCRIPTS, "tables.js", "charts.js", "store_page.js")
_RUNS_SCRIPTS = (
    *("colours.js", "clip_data.js", "skeleton.js", "tables.js", "charts.js"),
    *("runs_analysis.js", "runs_reconstruction.js", "runs_page.js"),
)


def render_clip_page(title: str, data: Any) -> str:
    """Return the page of a single clip."""
    return _fill_template("clip_page.html", title, data, [_read_asset(name) for name in _CLIP_SCRIPTS])


def render_store_page(title: str, data: Any) -> str:
    """Return the page of a store, with plotly's script in it (4.8 MB)."""
    return _render_with_plotly("store_page.html", title, data, _STORE_SCRIPTS)


def render_runs_page(title: str, data: Any) -> str:
    """Return the page of runs, with plotly's script in it."""
    return _render_with_plotly("runs_page.html", title, data, _RUNS_SCRIPTS)


def _render_with_plotly(template: str, title: str, data: Any, scripts: Sequence[str]) -> str:
    from plotly.offline import get_plotlyjs

    return _fill_template(template, title, data, [get_plotlyjs(), *(_read_asset(name) for name in scripts)])


def _fill_template(template: str, title: str, data: Any, scripts: Sequence[str]) -> str:
    """Fill a template.

    The page's content security policy allows no request, and only these scripts by their hashes: markup in a clip's
    name could not run even if it were not escaped.
    """
    hashes = " ".join(f"'sha256-{_script_hash(script)}'" for script in scripts)
    policy = f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:"
    head = {"title": escape(title), "policy": policy, "style": _read_asset("page.css")}
    parts = {
        "head": _replace_placeholders(_read_asset("head.html").rstrip(), head),
        "viewer": _read_asset("viewer.html"),
        "data": embed_json(data),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return _replace_placeholders(_read_asset(template), parts)


def _replace_placeholders(text: str, parts: Mapping[str, str]) -> str:
    # Split first, because the data may contain text that looks like a placeholder.
    first, *pieces = text.split("{{")
    filled = [first]
    for piece in pieces:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)


def _script_hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _read_asset(name: str) -> str:
    return (files("mamp_pipeline.report") / "assets" / name).read_text("utf-8")
