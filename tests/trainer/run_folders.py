"""Runs as they stand in folders, written without any training."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from mamp_schemas.models.recipe import PretrainRecipe, Recipe
from mamp_schemas.models.results import EncoderProvenance, EvaluationResult, Hardware, PretrainResult, RunRecord
from mamp_schemas.models.sealed import dump_sealed_json

HARDWARE = Hardware(cpu="A Fast One", cores=2, cores_present=16, memory_gb=24.0, gpus={}, ranks=1)
STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def write_recipe(folder: Path, recipe: Recipe) -> Path:
    """Begin a run: its folder holds the recipe, and no record."""
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
    return folder


def write_run(folder: Path, recipe: Recipe, value: float = 50.0, /, **changes: Any) -> Path:
    """Write a complete run; `value` is its last top-1 accuracy, or its last loss."""
    write_recipe(folder, recipe)
    (folder / "run.json").write_bytes(dump_sealed_json(make_record(recipe, value, **changes)))
    return folder


def write_metrics(folder: Path, *lines: dict[str, Any]) -> None:
    """Write lines of metrics, and the beginning of one that is being written."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + '{"event": "tr')


def make_record(recipe: Recipe, value: float, /, **changes: Any) -> RunRecord:
    record = RunRecord(
        format_version=3,
        task=recipe.kind,
        recipe=recipe.name,
        dataset=recipe.dataset,
        protocol=recipe.protocol,
        subset=getattr(recipe, "subset", None),
        recipe_hash=recipe.digest(),
        store_hash="a" * 64,
        manifest_hash="b" * 64,
        encoder="untrained",
        seed=recipe.seed,
        device="cpu",
        hardware=HARDWARE,
        started=STARTED,
        finished=STARTED + timedelta(minutes=1),
        sessions=1,
        versions={"python": "3.11", "torch": "2.13"},
        result=make_result(recipe, value),
    )
    return record.replaced(**changes)


def make_result(recipe: Recipe, value: float) -> PretrainResult | EvaluationResult:
    if isinstance(recipe, PretrainRecipe):
        return PretrainResult(kind="pretrain", steps=39, epochs=3, first_loss=1.0, last_loss=value, seconds=2.5)
    return EvaluationResult(
        kind=recipe.kind,
        epochs=3,
        clips=7,
        last_top1=value,
        last_top5=90.0,
        best_top1=value + 1,
        best_epoch=2,
        seconds=2.5,
    )


def encoder_of(run: Path, recipe: Recipe, weights: str) -> dict[str, Any]:
    """Return the fields of a record whose encoder a run has left."""
    checkpoint = run / "checkpoints" / "step-00000039"
    origin = EncoderProvenance(checkpoint=str(checkpoint), weights=weights, recipe_hash=recipe.digest())
    return {"encoder": str(run), "origin": origin}
