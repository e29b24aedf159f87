import pytest
import torch
from torch import nn

from mamp_trainer.checkpoints.released import from_released
from mamp_trainer.models.clip_encoder import Classifier
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.protocols.finetune import FinetuneHead
from mamp_trainer.protocols.linear import LinearHead
from tests.trainer.golden_model import (
    CLASSES,
    SPEC,
    clips_NMTVC,
    golden,
    official_weights,
    relative_deviation,
)
from tests.trainer.runs import MODEL, make_batch


def logits(head: LinearHead | FinetuneHead, case: str) -> torch.Tensor:
    """Logits of the golden clips with the golden encoder and the case's head weights."""
    model = Classifier(Encoder(SPEC), head, CLASSES).double().eval()
    state = from_released({**official_weights(), **official_weights(f"{case}/")})
    model.load_state_dict({name: value for name, value in state.items() if not name.startswith("decoder.")})
    return model(clips_NMTVC())


def test_linear_head__equals_the_authors_without_its_norm():
    head = LinearHead(SPEC.width, CLASSES)
    head.bn = nn.Identity()

    assert relative_deviation(logits(head, "linprobe"), golden("linprobe/logits")) < 1e-9


def test_finetune_head__equals_the_authors():
    head = FinetuneHead(SPEC.width, SPEC.joints, CLASSES, hidden=2048)

    assert relative_deviation(logits(head, "finetune"), golden("finetune/logits")) < 1e-9


def test_linear_head__standardises_the_mean_features():
    torch.manual_seed(0)
    head, features = LinearHead(4, 3).double(), torch.randn(5, 2, 3, 6, 4, dtype=torch.float64)

    mean = features.mean(dim=(1, 2, 3))
    standardised = (mean - mean.mean(dim=0)) / (mean.var(dim=0, correction=0) + 1e-6).sqrt()

    torch.testing.assert_close(head(features), head.fc(standardised))


def test_linear_head__learns_weight_and_bias_only():
    assert [name for name, _ in LinearHead(4, 3).named_parameters()] == ["fc.weight", "fc.bias"]


def test_linear_head__starts_small():
    torch.manual_seed(0)

    head = LinearHead(256, 60)

    assert abs(head.fc.weight.std().item() - 0.01) < 0.0005
    assert not head.fc.bias.any()


def test_finetune_head__drops_features_before_anything_else():
    torch.manual_seed(0)
    head, features = FinetuneHead(4, 6, 3, hidden=8).eval(), torch.randn(5, 2, 3, 6, 4)
    factors = torch.rand(5, 2, 3, 6, 4)

    torch.testing.assert_close(head(features, factors), head(features * factors))
    assert not torch.equal(head(features, factors), head(features))


def test_encode__drops_the_branches_of_each_slot():
    torch.manual_seed(0)
    spec = SPEC.replaced(joints=3)
    model = Classifier(Encoder(spec), FinetuneHead(spec.width, 3, 4, hidden=8), 4).eval()
    x, paths = torch.randn(5, 2, 24, 3, 3), torch.rand(10, spec.depth, 2)

    features = model.encode(x, drop_path=paths)

    expected = model.encoder(x.flatten(0, 1), drop_path=paths).view(5, 2, spec.segments, 3, spec.width)
    torch.testing.assert_close(features, expected)
    assert not torch.equal(features, model.encode(x))


@pytest.mark.parametrize("copies", [False, True])
def test_classifier__encodes_each_body_once(copies):
    torch.manual_seed(0)
    batch = make_batch([[True, False], [True, True], [True, False], [True, False]], copies=copies)
    model = Classifier(Encoder(MODEL), LinearHead(MODEL.width, 3), 3).eval()
    encoded: list[int] = []
    model.encoder.register_forward_hook(lambda _module, inputs, _output: encoded.append(len(inputs[0])))

    everything, once = model(batch.x), model(batch.x, batch.unique_bodies)

    assert encoded == [8, 6]
    torch.testing.assert_close(once, everything, rtol=1e-5, atol=1e-6)


def test_classifier__encodes_full_clips_as_they_are():
    batch = make_batch([[True, True]] * 2)
    model = Classifier(Encoder(MODEL), LinearHead(MODEL.width, 3), 3).eval()

    assert torch.equal(model(batch.x, batch.unique_bodies), model(batch.x))


def test_classifier__bf16_leaves_the_head_in_float32():
    batch, model = make_batch([[True, False]]), Classifier(Encoder(MODEL), LinearHead(MODEL.width, 3), 3, "bf16").eval()

    assert model(batch.x, batch.unique_bodies).dtype == torch.float32
