"""Linear evaluation (section 4.3): one linear layer on the mean features of a frozen encoder."""

from torch import Tensor, nn

from mamp_schemas.models.protocols import LinearRecipe
from mamp_trainer.protocols.base import TrainedProtocol


class LinearHead(nn.Module):
    """Features averaged over bodies, segments and joints, standardised, then one linear layer.

    Args:
        width: D.
        classes: K.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(width, affine=False, eps=1e-6)
        self.fc = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features_NMTVD: Tensor) -> Tensor:
        """Return the logits (N, K) of features (N, M, Te, V, D)."""
        logits: Tensor = self.fc(self.bn(features_NMTVD.mean(dim=(1, 2, 3))))
        return logits


class LinearProtocol(TrainedProtocol[LinearRecipe]):
    """Cross-entropy of a linear head; the encoder keeps its weights."""

    options = LinearRecipe
    summary = "Train a linear classifier on a frozen encoder."
    class_tensor = "fc.weight"

    def head(self, recipe: LinearRecipe, classes: int) -> LinearHead:
        """Return a new linear head."""
        return LinearHead(recipe.model.width, classes)


LINEAR = LinearProtocol()
