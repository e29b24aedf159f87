"""All published numbers: the paper's tables, the released models and later methods (reference.md, section 6)."""

from mamp_schemas.models.published.format import Column, Number, PublishedTable, Row
from mamp_schemas.models.published.paper import ABLATIONS, COMPARISONS
from mamp_schemas.models.published.paper import FIGURES as _FIGURES

_NTU60_XSUB = Column(dataset="ntu60", protocol="xsub")

_LATER = (
    ("S-JEPA", 85.3),
    ("Skeleton2vec", 85.7),
    ("GFP", 85.9),
    ("IGM", 86.2),
    ("MacDiff", 86.4),
    ("STARS", 87.1),
    ("AMR", 87.4),
)

TOLERANCE = 0.5
"""Points of accuracy by which a faithful run may differ from a published one (reference.md §6)."""

ELSEWHERE = (
    PublishedTable(
        name="released",
        title="The authors' released models",
        source="the authors' repository",
        evaluation="linear",
        columns=(
            _NTU60_XSUB,
            Column(dataset="ntu60", protocol="xview"),
            Column(dataset="ntu120", protocol="xsub"),
            Column(dataset="ntu120", protocol="xset"),
        ),
        rows=(
            Row(method="MAMP", values=(85.0, 89.0, 78.1, 79.5)),
            Row(method="MAMP", evaluation="finetune", values=(93.0, 97.5, 89.8, 91.5)),
        ),
    ),
    PublishedTable(
        name="later",
        title="Later methods, linear evaluation on NTU-60 xsub",
        source="their papers",
        evaluation="linear",
        columns=(_NTU60_XSUB,),
        rows=tuple(Row(method=method, values=(value,)) for method, value in _LATER),
    ),
)


TABLES: dict[str, PublishedTable] = {table.name: table for table in (*COMPARISONS, *ABLATIONS, *ELSEWHERE)}
"""By name: `1` to `9`, `10a` and `10b` of the paper, `released` and `later`."""

FIGURES: dict[str, PublishedTable] = {figure.name: figure for figure in _FIGURES}
"""By name: `fig-mask-ratio`, `fig-schedule`, `fig-loss`; most of their points have no published number."""

__all__ = ["ELSEWHERE", "FIGURES", "TABLES", "TOLERANCE", "Number", "PublishedTable"]
