"""SkeletonMAE*, the paper's baseline (section 4.4): mask tokens uniformly, predict the joints of masked tokens."""

from mamp_schemas.models.objectives import MaskingSpec, SkeletonMAERecipe, TargetSpec
from mamp_trainer.objectives.mamp import MaskedPrediction


class SkeletonMAEObjective(MaskedPrediction[SkeletonMAERecipe]):
    """The network and loss of MAMP with uniform masking and joint targets."""

    options = SkeletonMAERecipe
    summary = "SkeletonMAE*, the paper's baseline: predicts joints, masks tokens uniformly"

    def __init__(self, recipe: SkeletonMAERecipe) -> None:
        masking = MaskingSpec(ratio=recipe.masking.ratio, strategy="uniform")
        target = TargetSpec(kind="joint", normalise=recipe.target.normalise)
        super().__init__(recipe, masking, target)
