"""The paper's figures of curves: its text has no numbers of them, apart from points that are also a table's.

A point at MAMP's or SkeletonMAE*'s own settings is the same run as table 1's, and has its number. Which other points
the figures show is not said in the text, except that schedules range from 80 to 400 epochs: those here are a choice.
"""

from mamp_schemas.published.table import Column, PublishedTable, Row

_NTU60_XSUB_COLUMN = (Column(dataset="ntu60", protocol="xsub"),)
_PUBLISHED_TOP1 = {"MAMP": 84.9, "SkeletonMAE*": 74.8}
_PUBLISHED_EPOCHS, _PUBLISHED_RATIO = 400, 0.9

FIGURES = (
    PublishedTable(
        name="fig-mask-ratio",
        title="Masking ratio",
        source="paper, figure 5; at 0.9 table 1",
        evaluation="linear",
        columns=_NTU60_XSUB_COLUMN,
        rows=tuple(
            Row(method="MAMP", recipe={"masking.ratio": ratio}, values=(_PUBLISHED_TOP1["MAMP"] if ratio == _PUBLISHED_RATIO else None,))
            for ratio in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
        ),
    ),
    PublishedTable(
        name="fig-schedule",
        title="Length of pre-training",
        source="paper, figure 5; at 400 epochs table 1",
        evaluation="linear",
        columns=_NTU60_XSUB_COLUMN,
        rows=tuple(
            Row(method=method, recipe={"schedule.epochs": epochs}, values=(own if epochs == _PUBLISHED_EPOCHS else None,))
            for method, own in _PUBLISHED_TOP1.items()
            for epochs in (80, 160, 240, 320, 400)
        ),
    ),
    PublishedTable(
        name="fig-loss",
        title="Loss of pre-training",
        source="paper, figure 5",
        evaluation="pretrain",
        columns=_NTU60_XSUB_COLUMN,
        rows=tuple(Row(method=method, values=(None,)) for method in _PUBLISHED_TOP1),
    ),
)
