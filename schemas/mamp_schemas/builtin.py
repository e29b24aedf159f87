"""The datasets, objectives and protocols that come along; no other module but their own knows their names."""

from mamp_schemas.registry import OBJECTIVES, PROTOCOLS

OBJECTIVES.register(
    "mamp",
    "mamp_trainer.objectives.mamp:MAMPObjective",
    options="mamp_schemas.models.objectives:MAMPRecipe",
    summary="masked motion prediction, the paper's objective",
)
OBJECTIVES.register(
    "skeletonmae",
    "mamp_trainer.objectives.skeletonmae:SkeletonMAEObjective",
    options="mamp_schemas.models.objectives:SkeletonMAERecipe",
    summary="SkeletonMAE*, the paper's baseline: predicts hidden joints, hides tokens uniformly",
)

PROTOCOLS.register(
    "linear",
    "mamp_trainer.protocols.linear:LINEAR",
    options="mamp_schemas.models.recipe:LinearRecipe",
    summary="linear evaluation: the encoder is frozen",
)
PROTOCOLS.register(
    "finetune",
    "mamp_trainer.protocols.finetune:FINETUNE",
    options="mamp_schemas.models.recipe:FinetuneRecipe",
    summary="fine-tuning of encoder and head",
)
PROTOCOLS.register(
    "semi",
    "mamp_trainer.protocols.finetune:FINETUNE",
    options="mamp_schemas.models.recipe:FinetuneRecipe",
    summary="fine-tuning with a part of the labels",
)
PROTOCOLS.register(
    "transfer",
    "mamp_trainer.protocols.finetune:FINETUNE",
    options="mamp_schemas.models.recipe:FinetuneRecipe",
    summary="fine-tuning of an encoder of another dataset",
)
