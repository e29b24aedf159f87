"""Registers the in-tree datasets, objectives and protocols, and says which of them are defaults and suggestions.

No other module but their own knows their names.
"""

from mamp_schemas.registry import DATASETS, OBJECTIVES, PROTOCOLS

DEFAULT_OBJECTIVE = "mamp"
"""The objective of a pre-training recipe that names none, as all did before objectives had names."""

PROBE_PROTOCOL = "linear"
"""The protocol that is suggested after a pre-training, and whose recipes initial weights are drawn by."""

SUBSET_PROTOCOL = "semi"
"""The protocol that is suggested after drawing subsets of the training clips."""

BASE_RECIPE, SMALL_BASE_RECIPE = "ntu60-xsub", "nwucla-small"
"""The built-in recipes to change for a dataset that has none: one for large datasets, one for own recordings."""

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

_OBJECTIVE_OPTIONS = "mamp_schemas.models.objectives"
_PROTOCOL_OPTIONS = "mamp_schemas.models.protocols"
_PROTOCOLS = "mamp_trainer.protocols"

OBJECTIVES.register(
    DEFAULT_OBJECTIVE,
    "mamp_trainer.objectives.mamp:MAMPObjective",
    options=f"{_OBJECTIVE_OPTIONS}:MAMPRecipe",
    summary="masked motion prediction, the paper's objective",
)
OBJECTIVES.register(
    "skeletonmae",
    "mamp_trainer.objectives.skeletonmae:SkeletonMAEObjective",
    options=f"{_OBJECTIVE_OPTIONS}:SkeletonMAERecipe",
    summary="SkeletonMAE*, the paper's baseline: predicts joints, masks tokens uniformly",
)

PROTOCOLS.register(
    PROBE_PROTOCOL,
    f"{_PROTOCOLS}.linear:LINEAR",
    options=f"{_PROTOCOL_OPTIONS}:LinearRecipe",
    summary="Train a linear classifier on a frozen encoder (section 4.3, linear evaluation).",
)
PROTOCOLS.register(
    "finetune",
    f"{_PROTOCOLS}.finetune:FINETUNE",
    options=f"{_PROTOCOL_OPTIONS}:FinetuneRecipe",
    summary="Train encoder and classifier together, or from scratch (section 4.3, fine-tuned evaluation).",
)
PROTOCOLS.register(
    SUBSET_PROTOCOL,
    f"{_PROTOCOLS}.semi:SEMI",
    options=f"{_PROTOCOL_OPTIONS}:SemiRecipe",
    summary="Fine-tune on a part of the labels (section 4.3, semi-supervised evaluation: the mean of five draws).",
)
PROTOCOLS.register(
    "transfer",
    f"{_PROTOCOLS}.transfer:TRANSFER",
    options=f"{_PROTOCOL_OPTIONS}:TransferRecipe",
    summary="Fine-tune an encoder that another dataset pre-trained (section 4.3, transfer learning).",
)
PROTOCOLS.register(
    "knn",
    f"{_PROTOCOLS}.knn:KNN",
    options=f"{_PROTOCOL_OPTIONS}:KnnOptions",
    summary="Classify and retrieve test clips by the training clips whose features are nearest (cosine similarity).",
)
