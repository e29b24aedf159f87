"""Exported networks: any number of clips, the model's numbers, and refused where they differ."""

import io
import json

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from mamp_schemas.datasets.ntu import NTU60, NTU120
from mamp_schemas.datasets.nwucla import NWUCLA
from mamp_schemas.datasets.pku import PKU1
from mamp_schemas.errors import ExportError
from mamp_schemas.models.dataset import dataset_spec
from mamp_schemas.models.layout import Layout
from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.data.collate import find_unique_bodies
from mamp_trainer.export import network as check
from mamp_trainer.export.network import ExportedNetwork, check_export, export_metadata, synthetic_clips
from mamp_trainer.export.onnx_export import export_onnx
from mamp_trainer.export.torch_export import METADATA_FILE, export_torch
from mamp_trainer.models.clip_encoder import Classifier
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.protocols.networks import make_classifier
from mamp_trainer.training.runtime import seeded
from tests.trainer.runs import MODEL, finetune_recipe, linear_recipe

CLASSES = 7
FACTS = {"recipe": "tiny", "dataset": "NTU RGB+D 60"}


def classifier(kind: str) -> Classifier:
    """Return a classifier of random weights whose batch norms have seen something."""
    recipe = linear_recipe() if kind == "linear" else finetune_recipe()
    model = make_classifier(recipe, CLASSES, None).eval()
    with seeded(1):
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    return model


def exported(kind: str) -> ExportedNetwork:
    if kind == "encoder":
        with seeded(0):
            return ExportedNetwork(Encoder(MODEL.replaced(input="motion")), None).eval()
    model = classifier(kind)
    return ExportedNetwork(model.encoder, model.head).eval()


def clips(count: int, spec: ModelSpec = MODEL) -> Tensor:
    return synthetic_clips(count, 2, spec.frames, spec.joints, seed=9)


@pytest.mark.parametrize("kind", ["linear", "finetune"])
def test_exported_network__logits_are_the_classifier_s(kind: str) -> None:
    model, x = classifier(kind), clips(3)
    real = torch.tensor([[True, False], [True, True], [True, False]])
    with torch.no_grad():
        expected = model(x, find_unique_bodies(real, empty_slots_are_copies=False))
        logits, features = ExportedNetwork(model.encoder, model.head).eval()(x)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-6)
    assert features.shape == (3, MODEL.width)


@pytest.mark.parametrize("kind", ["linear", "finetune", "encoder"])
def test_export_onnx__runs_on_any_number_of_clips(kind: str) -> None:
    network = exported(kind)
    content, difference = export_onnx(network, 2, FACTS, "m.onnx")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == list(network.outputs)
    assert session.get_inputs()[0].shape == ["batch", 2, MODEL.frames, 25, 3]
    for count in (1, 2, 5):
        with torch.no_grad():
            expected = network(clips(count))
        found = session.run(None, {"clips": clips(count).numpy()})
        torch.testing.assert_close([torch.from_numpy(each) for each in found], list(expected), rtol=1e-4, atol=1e-5)
    assert difference < 1e-5


def test_export_onnx__linear_layers_stay_such_and_facts_stand_in_the_file() -> None:
    content, _ = export_onnx(exported("linear"), 2, FACTS, "m.onnx")
    model = onnx.load_from_string(content)
    assert "Conv" not in {node.op_type for node in model.graph.node}
    assert {each.key: each.value for each in model.metadata_props}.items() >= FACTS.items()


@pytest.mark.parametrize("kind", ["finetune", "encoder"])
def test_export_torch__runs_on_any_number_of_clips(kind: str) -> None:
    network = exported(kind)
    content, difference = export_torch(network, 2, FACTS, "m.pt2")
    files = {METADATA_FILE: ""}
    program = torch.export.load(io.BytesIO(content), extra_files=files).module()
    for count in (1, 2, 5):
        with torch.no_grad():
            torch.testing.assert_close(program(clips(count)), network(clips(count)), rtol=1e-4, atol=1e-5)
    assert json.loads(files[METADATA_FILE]) == FACTS
    assert difference < 1e-5


def test_check_export__other_numbers_are_refused() -> None:
    network = exported("linear")

    def run(x: Tensor) -> tuple[Tensor, ...]:
        logits, features = network(x)
        return logits, features + 3e-4

    with pytest.raises(ExportError, match=r"'features' of 1 clips differs by \d\.\de-04.*not written"):
        check_export(network, run, 2, "m.onnx")


def test_check_export__numbers_that_are_none_are_refused() -> None:
    network = exported("encoder")
    with pytest.raises(ExportError, match="differs by nan"):
        check_export(network, lambda x: [network(x)[0] * float("nan")], 2, "m.onnx")


def test_check_export__another_shape_is_refused() -> None:
    network = exported("encoder")
    with pytest.raises(ExportError, match=r"'features' has shape \(1, 8\), expected \(1, 16\)"):
        check_export(network, lambda x: [network(x)[0][:, :8]], 2, "m.onnx")


def test_synthetic_clips__some_have_a_single_body() -> None:
    made = synthetic_clips(3, 2, 16, 25)
    assert (made[:, 1].abs().amax(dim=(1, 2, 3)) > 0).tolist() == [False, True, False]
    assert check.CHECK_BATCH_SIZES == (1, 3)


def test_export_metadata__says_shape_units_and_classes() -> None:
    metadata = export_metadata(
        exported("linear"), linear_recipe(), NTU60, dataset_spec("ntu60").paper_policy, NTU60.class_names
    )
    assert metadata["input"].startswith("clips: float32 (N, 2, 16, 25, 3)")
    assert "metres" in metadata["input"]
    assert "0.9 of its valid frames" in metadata["input"]
    assert "holds zeros" in metadata["input"]
    assert json.loads(metadata["classes"])[0] == "drink water"


def test_export_metadata__says_how_a_recording_becomes_the_input() -> None:
    network, recipe = exported("encoder"), linear_recipe()
    layout = Layout.model_validate(
        {
            "name": "Mine",
            "skeleton": "coco_17",
            "files": {"format": "npy", "order": "TVC"},
            "units": "millimetres",
            "axes": ("-x", "z", "y"),
        }
    )
    spec = layout.dataset_spec()
    about = json.loads(export_metadata(network, recipe, spec, spec.paper_policy, (), layout)["preparation"])
    assert about["axes"] == ["-x", "z", "y"]
    assert (about["file_units"], about["file_units_per_metre"]) == ("millimetres", 1000)
    assert (about["centre"], about["centre_joint"]) == (11, "left_hip")
    assert about["joints"] == list(spec.skeleton.joints)
    assert (about["bodies"], about["frames"], about["crop"]) == (1, 16, 0.9)
    camera = json.loads(export_metadata(network, recipe, PKU1, dataset_spec("pku1").paper_policy, ())["preparation"])
    assert (camera["centre"], camera["axes"], camera["file_units"]) == (None, ["x", "y", "z"], "metres")


def test_export_metadata__an_encoder_has_no_classes() -> None:
    metadata = export_metadata(
        exported("encoder"), linear_recipe(), PKU1, dataset_spec("pku1").policy("corrected"), PKU1.class_names
    )
    assert "classes" not in metadata
    assert "policy corrected" in metadata["input"]


def test_export_metadata__says_where_coordinates_begin_and_what_fills_an_empty_slot() -> None:
    network, recipe = exported("encoder"), linear_recipe()
    ntu120 = export_metadata(network, recipe, NTU120, dataset_spec("ntu120").paper_policy, ())["input"]
    assert "the first body's spine_mid in its first frame" in ntu120
    assert "a copy of the first body" in ntu120
    assert (
        "the camera's coordinates"
        in export_metadata(network, recipe, PKU1, dataset_spec("pku1").paper_policy, ())["input"]
    )
    assert (
        "without a body"
        not in export_metadata(network, recipe, NWUCLA, dataset_spec("nwucla").paper_policy, ())["input"]
    )
