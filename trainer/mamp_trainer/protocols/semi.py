"""Semi-supervised evaluation (section 4.3): fine-tuning on a part of the training clips."""

from mamp_schemas.models.protocols import SemiRecipe
from mamp_trainer.protocols.finetune import FinetuneProtocol


class SemiProtocol(FinetuneProtocol[SemiRecipe]):
    """Fine-tuning; the recipe's `subset` says on which clips."""

    options = SemiRecipe
    summary = "Fine-tune on a part of the labels."


SEMI = SemiProtocol()
