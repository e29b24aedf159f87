"""What has been published: every number of the paper's tables, and those of released models and later methods."""

from mamp_schemas.published.ablations import ABLATIONS
from mamp_schemas.published.comparisons import COMPARISONS
from mamp_schemas.published.elsewhere import ELSEWHERE
from mamp_schemas.published.figures import FIGURES as _FIGURES
from mamp_schemas.published.table import Number, PublishedTable

TABLES: dict[str, PublishedTable] = {table.name: table for table in (*COMPARISONS, *ABLATIONS, *ELSEWHERE)}
"""By name: `1` to `9`, `10a` and `10b` of the paper, `released` and `later`."""

FIGURES: dict[str, PublishedTable] = {figure.name: figure for figure in _FIGURES}
"""By name: `fig-mask-ratio`, `fig-schedule`, `fig-loss`; most of their points have no published number."""

__all__ = ["FIGURES", "TABLES", "Number", "PublishedTable"]
