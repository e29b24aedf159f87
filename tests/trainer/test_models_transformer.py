import math

import pytest
import torch
import torch.nn.functional as F

from mamp_trainer.models.transformer import Attention, Block, Blocks


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


def test_blocks__recomputed_give_the_same_bit_for_bit():
    torch.manual_seed(0)
    blocks, x = Blocks(2, 8, 2, 4), torch.randn(2, 5, 8)
    kept = torch.autograd.grad(blocks(x).square().sum(), list(blocks.parameters()))

    blocks.activation_checkpointing = True
    again = torch.autograd.grad(blocks(x).square().sum(), list(blocks.parameters()))

    assert all(torch.equal(one, two) for one, two in zip(kept, again, strict=True))


def test_blocks__recomputed_keep_their_inputs_only():
    blocks, x = Blocks(3, 8, 2, 4), torch.randn(2, 5, 8)
    blocks.activation_checkpointing = True
    kept: list[torch.Size] = []

    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.shape), lambda _: None):
        blocks(x)

    assert kept == [x.shape] * 3


def test_blocks__without_gradients_are_not_recomputed():
    blocks, x = Blocks(2, 8, 2, 4), torch.randn(2, 5, 8)
    expected = blocks(x)
    blocks.activation_checkpointing = True

    with torch.no_grad():
        assert torch.equal(blocks(x), expected)


def test_blocks__parameters_have_the_names_of_a_plain_sequence():
    assert "0.attn.qkv.weight" in Blocks(1, 8, 2, 4).state_dict()


@pytest.mark.parametrize("recompute", [False, True])
def test_blocks__give_each_block_its_own_factors(recompute):
    torch.manual_seed(0)
    blocks, x, paths = Blocks(2, 8, 2, 4), torch.randn(3, 5, 8), torch.rand(3, 2, 2)
    blocks.activation_checkpointing = recompute

    torch.testing.assert_close(blocks(x, paths), blocks[1](blocks[0](x, paths[:, 0]), paths[:, 1]))
