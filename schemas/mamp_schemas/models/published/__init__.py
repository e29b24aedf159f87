"""All published numbers: the paper's tables, the released models and later methods."""

from mamp_schemas.models.published.elsewhere import ELSEWHERE
from mamp_schemas.models.published.format import Number, PublishedTable
from mamp_schemas.models.published.paper import ABLATIONS, COMPARISONS
from mamp_schemas.models.published.paper import FIGURES as _FIGURES

TABLES: dict[str, PublishedTable] = {table.name: table for table in (*COMPARISONS, *ABLATIONS, *ELSEWHERE)}
"""By name: `1` to `9`, `10a` and `10b` of the paper, `released` and `later`."""

FIGURES: dict[str, PublishedTable] = {figure.name: figure for figure in _FIGURES}
"""By name: `fig-mask-ratio`, `fig-schedule`, `fig-loss`; most of their points have no published number."""

__all__ = ["FIGURES", "TABLES", "Number", "PublishedTable"]
