"""Owns the reduction of recipes: one rule for every run of a table, so that small tables compare like with like."""

from mamp_schemas.recipe_specs import ModelSpec, ScheduleSpec
from mamp_schemas.recipes import FinetuneRecipe, PretrainRecipe, Recipe

WIDTH_DIVISOR = 8
"""By which widths and batches are divided: what a table varies keeps its proportions."""

SEGMENTS = 4
"""Te of the reduced network, 30 in the paper: T is as many segments, of whatever length (table 9)."""

DEPTH, HEADS = 2, 4

PRETRAIN_EPOCHS_DIVISOR, EVALUATION_EPOCHS_DIVISOR = 40, 10
"""By which epochs are divided: 400 become 10, 100 as well, and the schedules of figure 5 stay in proportion."""

CHECKPOINT_EVERY = 2
MIN_FRAMES = 16


def scaled_down(recipe: Recipe) -> Recipe:
    """Return a recipe reduced to seconds on a handful of clips, and minutes on a dataset.

    Decoders keep their depth, which table 10a varies; losses, masking, optimisers and learning rates stay.
    """
    shorter = PRETRAIN_EPOCHS_DIVISOR if isinstance(recipe, PretrainRecipe) else EVALUATION_EPOCHS_DIVISOR
    reduced = recipe.replaced(
        summary=f"{recipe.summary}; reduced",
        model=_scaled_model(recipe.model),
        sampling=recipe.sampling.replaced(min_frames=min(recipe.sampling.min_frames, MIN_FRAMES)),
        schedule=_scaled_schedule(recipe.schedule, shorter),
        batch_size=max(2, recipe.batch_size // WIDTH_DIVISOR),
        checkpoint_every=CHECKPOINT_EVERY,
    )
    if isinstance(reduced, FinetuneRecipe):
        return reduced.replaced(head_width=max(1, reduced.head_width // WIDTH_DIVISOR))
    return reduced


def _scaled_model(model: ModelSpec) -> ModelSpec:
    return model.replaced(
        frames=SEGMENTS * model.segment,
        width=model.width // WIDTH_DIVISOR,
        depth=DEPTH,
        heads=HEADS,
        decoder_width=model.decoder_width // WIDTH_DIVISOR,
        decoder_heads=HEADS,
    )


def _scaled_schedule(schedule: ScheduleSpec, by: int) -> ScheduleSpec:
    return schedule.replaced(epochs=max(1, schedule.epochs // by), warmup_epochs=schedule.warmup_epochs / by)
