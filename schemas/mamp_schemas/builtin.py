"""Registers the in-tree datasets, objectives and protocols; no other module but their own knows their names."""

from mamp_schemas.registry import DATASETS, OBJECTIVES, PROTOCOLS

_NTU, _PKU = "mamp_pipeline.datasets.ntu.dataset", "mamp_pipeline.datasets.pku.dataset"
_SPECS = "mamp_schemas.datasets"

DATASETS.register("ntu60", f"{_NTU}:NTU60_READER", options=f"{_SPECS}.ntu:NTU60", summary="NTU RGB+D 60")
DATASETS.register("ntu120", f"{_NTU}:NTU120_READER", options=f"{_SPECS}.ntu:NTU120", summary="NTU RGB+D 120")
DATASETS.register("pku1", f"{_PKU}:PKU1_READER", options=f"{_SPECS}.pku:PKU1", summary="PKU-MMD I")
DATASETS.register("pku2", f"{_PKU}:PKU2_READER", options=f"{_SPECS}.pku:PKU2", summary="PKU-MMD II")
DATASETS.register(
    "nwucla", "mamp_pipeline.datasets.nwucla:NWUCLA_READER", options=f"{_SPECS}.nwucla:NWUCLA", summary="NW-UCLA"
)
DATASETS.register(
    "custom",
    "mamp_pipeline.datasets.custom.recordings:CUSTOM_READER",
    options="mamp_schemas.models.layout:CUSTOM",
    summary="own recordings, described by a layout",
)

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
