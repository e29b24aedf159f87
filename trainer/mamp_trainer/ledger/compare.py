"""Owns comparing runs: on what they agree, on what not, and the spread of those of one setting."""

from collections.abc import Mapping, Sequence
from typing import Literal

from mamp_schemas.base import Model, canonical_json
from mamp_schemas.results import Spread
from mamp_trainer.ledger.facts import ASPECTS, ENCODER, PRETRAINING, RECIPE, SPLIT, STORE, RunInputs, run_inputs
from mamp_trainer.ledger.fields import Difference, find_differences
from mamp_trainer.ledger.lines import RunSummary, summarise_run
from mamp_trainer.ledger.runs import Run


class Aspect(Model):
    """How runs compare in one of the things that numbers depend on.

    Attributes:
        name: one of `ASPECTS`.
        state: `unknown` where those of which it is known agree, and there are others.
        differences: between those of which it is known.
    """

    name: str
    state: Literal["same", "differs", "unknown"]
    differences: tuple[Difference, ...] = ()


class Group(Model):
    """Complete runs of one setting: the same recipe, store, split and way to the encoder.

    Seeds may differ, the pre-training's too, draws of the training clips, placement, versions and hardware.

    Attributes:
        runs: their folders.
        seeds, draws: of each; draws are of `semi`.
        last_top1, best_top1: of evaluations, in percent.
        last_loss: of pre-trainings.
    """

    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    draws: tuple[int, ...] = ()
    last_top1: Spread | None
    best_top1: Spread | None
    last_loss: Spread | None


class Comparison(Model):
    """Several runs side by side; values of differences are in the order of `runs`."""

    runs: tuple[RunSummary, ...]
    aspects: tuple[Aspect, ...]
    groups: tuple[Group, ...]


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare at least two runs."""
    facts, lines = [run_inputs(run) for run in runs], [summarise_run(run) for run in runs]
    aspects = [_compare_aspect(name, [each[name] for each in facts]) for name in ASPECTS]
    return Comparison(
        runs=tuple(lines),
        aspects=tuple(aspect for aspect in aspects if aspect is not None),
        groups=tuple(_find_groups(lines, facts)),
    )


def _compare_aspect(name: str, sides: Sequence[RunInputs | None]) -> Aspect | None:
    """Compare one aspect; None of pre-trainings of which there are no two to compare."""
    known = [side for side in sides if side is not None]
    if name == PRETRAINING and len(known) < 2:
        return None
    differences = find_differences(sides)
    if differences:
        return Aspect(name=name, state="differs", differences=differences)
    return Aspect(name=name, state="same" if len(known) == len(sides) else "unknown")


def _find_groups(lines: Sequence[RunSummary], facts: Sequence[Mapping[str, RunInputs | None]]) -> list[Group]:
    members: dict[bytes, list[RunSummary]] = {}
    for line, each in zip(lines, facts, strict=True):
        if line.state == "complete" and each[RECIPE] is not None:
            members.setdefault(canonical_json(_setting(line, each)), []).append(line)
    return [_spread(group) for group in members.values() if len(group) > 1]


def _setting(line: RunSummary, facts: Mapping[str, RunInputs | None]) -> list[RunInputs | None]:
    """Return what runs of one group have in common.

    A draw has a manifest of its own; an encoder counts by the recipe that it was trained by, its seed left out,
    where that is known.
    """
    trained = facts[PRETRAINING]
    encoder = facts[ENCODER] if trained is None else {key: trained[key] for key in trained if key != "seed"}
    return [facts[RECIPE], facts[STORE], None if line.subset else facts[SPLIT], encoder]


def _spread(group: Sequence[RunSummary]) -> Group:
    def of(name: str) -> Spread | None:
        values = [value for line in group if (value := getattr(line, name)) is not None]
        return Spread.of(values) if len(values) == len(group) else None

    return Group(
        runs=tuple(line.run for line in group),
        seeds=tuple(line.seed for line in group if line.seed is not None),
        draws=tuple(line.subset.draw for line in group if line.subset is not None),
        last_top1=of("last_top1"),
        best_top1=of("best_top1"),
        last_loss=of("last_loss"),
    )
