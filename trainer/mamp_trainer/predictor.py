"""Owns what a trained classifier says of clips that are in no store."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor

from mamp_schemas.datasets import DatasetSpec
from mamp_schemas.errors import CheckpointError, RecipeError
from mamp_schemas.progress import Progress
from mamp_trainer.classifiers import ClassifierRecipe, load_classifier
from mamp_trainer.compute import matmul_precision
from mamp_trainer.data.batches import EmptySlot, TestBatches
from mamp_trainer.data.unstored import Recording, clips_from_memory
from mamp_trainer.model.heads import Classifier
from mamp_trainer.runtime import choose_device
from mamp_trainer.scores import predict_logits


class Predictor(NamedTuple):
    """A trained classifier, and how its clips become samples: as in the evaluation that it was measured by.

    Attributes:
        model: on `device`, set to evaluation.
        recipe: what it was trained by; says the test crop, T and the precision.
        slots: M.
        empty_slot: what a slot without a body holds.
        device: where it computes.
    """

    model: Classifier
    recipe: ClassifierRecipe
    slots: int
    empty_slot: EmptySlot
    device: torch.device

    @classmethod
    def load(
        cls,
        source: Path,
        recipe: ClassifierRecipe,
        spec: DatasetSpec,
        empty_slot: EmptySlot,
        device: str = "auto",
        progress: Progress | None = None,
    ) -> Self:
        """Load a classifier for clips of a dataset.

        Args:
            source: the folder of a run or of a checkpoint, or a released `.pth` file.
            recipe: what it was trained by.
            spec: the dataset.
            empty_slot: what the clips' policy puts into a slot without a body.
            device: `auto`, `cpu` or `cuda`.
            progress: is warned where a released file is of another number of segments.

        Raises:
            CheckpointError: it cannot be read, has no classifier, or one for another number of classes.
            RecipeError: it is for another number of joints.
            UsageError: there is no such device.
        """
        where = choose_device(device)
        joints = len(spec.skeleton.joints)
        if recipe.model.joints != joints:
            raise RecipeError(
                f"{source} is for {recipe.model.joints} joints, {spec.title} has {joints}",
                remedy="Use the recipe or layout that it was trained with.",
            )
        model = load_classifier(source, recipe, progress).to(where)
        predictor = cls(model, recipe, spec.bodies, empty_slot, where)
        if predictor.classes != spec.classes:
            raise CheckpointError(
                f"{source}: a classifier of {predictor.classes} classes, {spec.title} has {spec.classes}",
                remedy="Use the recipe or layout that it was trained with.",
            )
        return predictor

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.model.head.classes

    def logits(self, recordings: Sequence[Recording]) -> Tensor:
        """Return the scores of clips: one batch of them, (N, classes) float32 on the CPU."""
        recipe = self.recipe
        batches = TestBatches(
            clips_from_memory(recordings, self.device),
            sampling=recipe.sampling,
            frames=recipe.model.frames,
            batch_size=len(recordings),
            slots=self.slots,
            empty_slot=self.empty_slot,
        )
        with matmul_precision(recipe.precision):
            return predict_logits(self.model, batches, after_batch=lambda: None).cpu()


def top_classes(logits: Tensor, count: int) -> list[list[tuple[int, float]]]:
    """Return the most probable classes of each clip, with their probabilities, the highest first.

    Args:
        logits: (N, classes).
        count: how many, at most.
    """
    probability, label = logits.softmax(dim=1).topk(min(count, logits.shape[1]), dim=1)
    return [list(zip(*each, strict=True)) for each in zip(label.tolist(), probability.tolist(), strict=True)]
