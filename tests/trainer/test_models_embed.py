import torch
from torch import nn

from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.models.mamp import COORDINATES, JointEmbedding, learnable, to_tokens

SPEC = ModelSpec(joints=3, frames=8, segment=4, width=16, depth=1, heads=2)


def test_to_tokens__orders_segments_joints_frames_coordinates():
    frame, joint, coordinate = torch.meshgrid(
        torch.arange(8), torch.arange(3), torch.arange(COORDINATES), indexing="ij"
    )
    x = (100 * frame + 10 * joint + coordinate)[None]

    tokens = to_tokens(x, 4)

    assert tokens.shape == (1, 6, 12)
    assert tokens[0, 0].tolist() == [0, 1, 2, 100, 101, 102, 200, 201, 202, 300, 301, 302]
    assert tokens[0, 1, 0] == 10
    assert tokens[0, 3, 0] == 400


def test_joint_embedding__starts_as_a_convolution():
    torch.manual_seed(0)
    matrix = JointEmbedding(SPEC).proj
    torch.manual_seed(0)
    convolution = nn.Conv2d(COORDINATES, SPEC.width, kernel_size=(SPEC.segment, 1))

    assert torch.equal(matrix.weight.flatten(), convolution.weight.flatten())
    assert torch.equal(matrix.bias, convolution.bias)


def test_learnable__has_a_standard_deviation_of_2_percent():
    torch.manual_seed(0)

    embedding = learnable(1, 100, 1, 100)

    assert embedding.shape == (1, 100, 1, 100)
    assert abs(embedding.std().item() - 0.02) < 0.001
