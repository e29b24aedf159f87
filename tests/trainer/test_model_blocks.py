import math

import torch
import torch.nn.functional as F

from mamp_trainer.model.blocks import Attention, Block, xavier_linear


def test_xavier_linear__fills_the_xavier_range():
    torch.manual_seed(0)

    linear = xavier_linear(60, 90)

    bound = math.sqrt(6 / (60 + 90))
    assert 0.99 * bound < linear.weight.abs().max() <= bound
    assert not linear.bias.any()


def test_attention__equals_the_formula():
    torch.manual_seed(0)
    attention = Attention(8, 2).double()
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    query, key, value = attention.qkv(x)[0].split(8, dim=1)

    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        weights = (query[:, part] @ key[:, part].T / math.sqrt(4)).softmax(dim=1)
        heads.append(weights @ value[:, part])

    torch.testing.assert_close(attention(x)[0], attention.proj(torch.cat(heads, dim=1)))


def test_block__normalises_before_each_part():
    torch.manual_seed(0)
    block = Block(8, 2, 4).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64)

    attended = x + block.attn(F.layer_norm(x, (8,), eps=1e-5))
    expected = attended + block.mlp(F.layer_norm(attended, (8,), eps=1e-5))

    torch.testing.assert_close(block(x), expected)
    assert block.mlp.fc1.weight.shape == (32, 8)


def test_block__multiplies_its_branches_by_their_factors():
    torch.manual_seed(0)
    block, x, paths = Block(8, 2, 4), torch.randn(3, 5, 8), torch.tensor([[0.0, 1.5], [2.0, 0.0], [1.0, 1.0]])

    transformed = block(x, paths)

    for sequence, (attention, mlp) in enumerate(paths):
        one = x[sequence : sequence + 1]
        between = one + attention * block.attn(block.norm1(one))
        torch.testing.assert_close(
            transformed[sequence : sequence + 1], between + mlp * block.mlp(block.norm2(between))
        )
    torch.testing.assert_close(transformed[2], block(x)[2])
