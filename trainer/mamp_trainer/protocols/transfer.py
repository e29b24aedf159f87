"""Transfer learning (section 4.3): fine-tuning an encoder that was pre-trained on another dataset."""

from collections.abc import Iterator

from mamp_schemas.models.protocols import TransferRecipe
from mamp_trainer.checkpoints.provenance import EncoderTraining
from mamp_trainer.protocols.finetune import FinetuneProtocol


class TransferProtocol(FinetuneProtocol[TransferRecipe]):
    """Fine-tuning; the recipe's `pretrained_on` says where the encoder is to come from."""

    options = TransferRecipe
    summary = "Fine-tune an encoder that another dataset pre-trained."

    def encoder_warnings(self, training: EncoderTraining, recipe: TransferRecipe) -> Iterator[str]:
        """Yield also that the encoder is of other data than the recipe says."""
        wanted = recipe.pretrained_on
        if (training.dataset, training.protocol) != (wanted.dataset, wanted.protocol):
            yield (
                f"the encoder was pre-trained on {training.dataset} {training.protocol}; the recipe is about one of "
                f"{wanted.dataset} {wanted.protocol}"
            )
        yield from super().encoder_warnings(training, recipe)


TRANSFER = TransferProtocol()
