import pytest
import torch

from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.models.clip_encoder import Classifier
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.protocols.finetune import FinetuneHead
from mamp_trainer.recipes import load_recipe
from mamp_trainer.training.optim import LR_SCALE, layer_groups, layer_id

SPEC = ModelSpec(joints=3, frames=8, width=8, depth=3, heads=2)


def classifier(spec: ModelSpec = SPEC) -> Classifier:
    return Classifier(Encoder(spec), FinetuneHead(spec.width, spec.joints, classes=4, hidden=8), classes=4)


def scales(model: Classifier, decay: float) -> dict[str, float]:
    """Return the factor of every parameter's learning rate by its name."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {names[tensor]: group[LR_SCALE] for group in layer_groups(model, 0.05, decay) for tensor in group["params"]}


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("encoder.joints_embed.proj.weight", 0),
        ("encoder.joints_embed.proj.bias", 0),
        ("encoder.temp_embed", 0),
        ("encoder.pos_embed", 0),
        ("encoder.blocks.0.norm1.weight", 1),
        ("encoder.blocks.7.mlp.fc2.bias", 8),
        ("encoder.blocks.10.attn.qkv.weight", 11),
        ("encoder.norm.weight", 13),
        ("head.fc1.weight", 13),
        ("head.bn.bias", 13),
    ],
)
def test_layer_id__by_the_name(name: str, layer: int) -> None:
    assert layer_id(name, depth=12) == layer


def test_layer_groups__published_scales() -> None:
    """At depth 8: 0.8^9 for the embeddings, 0.8^8 for the first block, …, 0.8 for the last, 1 for norm and head."""
    recipe = load_recipe("finetune", "ntu60-xsub")
    with torch.device("meta"):
        found = scales(classifier(recipe.model), recipe.layer_decay)
    assert found["encoder.temp_embed"] == found["encoder.joints_embed.proj.bias"] == pytest.approx(0.134217728)
    blocks = [found[f"encoder.blocks.{block}.attn.qkv.weight"] for block in range(8)]
    assert blocks == pytest.approx([0.16777216, 0.2097152, 0.262144, 0.32768, 0.4096, 0.512, 0.64, 0.8])
    assert found["encoder.norm.bias"] == found["head.fc1.weight"] == found["head.bn.weight"] == 1


def test_layer_groups__hold_every_parameter_once_and_spare_the_one_dimensional() -> None:
    model = classifier()
    groups = layer_groups(model, 0.05, 0.8)
    grouped = [tensor for group in groups for tensor in group["params"]]
    assert len(grouped) == len({id(tensor) for tensor in grouped}) == len(list(model.parameters()))
    assert all((tensor.ndim > 1) == (group["weight_decay"] == 0.05) for group in groups for tensor in group["params"])
    assert {group["weight_decay"] for group in groups} == {0.0, 0.05}


def test_layer_groups__without_decay_all_learn_alike() -> None:
    assert set(scales(classifier(), 1.0).values()) == {1.0}


def test_layer_groups__leave_out_what_is_fixed() -> None:
    model = classifier()
    model.encoder.requires_grad_(False)
    assert set(scales(model, 0.8)) == {name for name, _ in model.named_parameters() if name.startswith("head.")}
