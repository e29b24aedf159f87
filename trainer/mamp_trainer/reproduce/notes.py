"""Owns what has to be said with a table: its scale, its data, and where the paper leaves room."""

from collections.abc import Iterator, Sequence

from mamp_schemas.published.elsewhere import TOLERANCE
from mamp_schemas.published.table import PublishedTable
from mamp_schemas.reproduction import Scale

_FIGURE = "The paper's text has no numbers of this figure"
_OF_TABLES = {
    "1": "PKU-MMD: batch and learning rate of the released configurations, encoders after all 400 epochs.",
    "6": "Encoders are taken after all 400 epochs; the released scripts take PKU-MMD I's after 301.",
    "7": "Joints from joints is SkeletonMAE*, with uniform masking, as its numbers are table 1's. The paper does not "
    "say how the rows of motion input were masked: motion-aware here.",
    "fig-mask-ratio": f"{_FIGURE}, nor the ratios: those here are a choice. At 0.9 the number is table 1's.",
    "fig-schedule": f"{_FIGURE}, nor the data; schedules range from 80 to 400 epochs, the steps between are a choice. "
    "At 400 epochs the numbers are table 1's.",
    "fig-loss": f"{_FIGURE}. The two losses are of different targets: their courses compare, not their heights.",
}


def list_notes(published: PublishedTable, scale: Scale, odd: Sequence[str]) -> Iterator[str]:
    """Yield the notes of a table, one sentence or more each.

    Args:
        published: the table.
        scale: at which it was obtained.
        odd: what is other than the published about clips and splits.
    """
    if scale == "small":
        yield (
            "Reduced networks and epochs: these numbers show that the runs work, and reproduce nothing. They are not "
            "comparable with the published ones."
        )
    if odd:
        yield f"Other data than the published, so not comparable with the published numbers: {'; '.join(odd)}."
    if published.evaluation == "pretrain":
        yield "The number is the mean loss of the last epoch."
    else:
        yield (
            "The number is top-1 accuracy in percent after the last epoch; the best epoch, chosen on the test side "
            "itself as the authors report, stands apart. Other methods' numbers are as published."
        )
    if scale == "full" and not odd:
        yield f"A faithful run may differ by {TOLERANCE} points."
    if published.name in _OF_TABLES:
        yield _OF_TABLES[published.name]
