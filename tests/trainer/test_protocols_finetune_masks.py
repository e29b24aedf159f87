import pytest
import torch
from torch import Tensor

from mamp_schemas.models.protocols import FinetuneRecipe
from mamp_trainer.data.rng import Draws
from mamp_trainer.protocols.finetune import DropMasks, draw_drop_masks, drop_path_rates, inverted_dropout_mask
from tests.trainer.runs import finetune_recipe

SLOTS = 2
RECIPE = finetune_recipe(drop_path=0.3, dropout=0.25)
SPEC = RECIPE.model


def draw(clips: int | Tensor, epoch: int = 0, recipe: FinetuneRecipe = RECIPE) -> DropMasks:
    clip = torch.arange(clips) if isinstance(clips, int) else clips
    return draw_drop_masks(recipe, Draws(recipe.seed, epoch, clip), SLOTS)


def test_drop_path_rates__grow_linearly_from_nothing():
    torch.testing.assert_close(drop_path_rates(4, 0.3), torch.tensor([0.0, 0.1, 0.2, 0.3]))


def test_drop_path_rates__a_single_block_is_never_dropped():
    assert drop_path_rates(1, 0.3).tolist() == [0.0]


def test_inverted_dropout_mask__of_the_draws_below_the_rate_are_zero():
    u, rate = torch.tensor([0.0, 0.2, 0.25, 0.9]), torch.tensor(0.25)
    torch.testing.assert_close(inverted_dropout_mask(u, rate), torch.tensor([0.0, 0.0, 4 / 3, 4 / 3]))


def test_inverted_dropout_mask__nothing_is_left_out_at_rate_zero():
    assert inverted_dropout_mask(torch.tensor([0.0, 0.5]), torch.tensor(0.0)).tolist() == [1.0, 1.0]


def test_draw_drop_masks__shapes():
    drops = draw(3)
    assert drops.drop_path.shape == (3 * SLOTS, SPEC.depth, 2)
    assert drops.dropout.shape == (3, SLOTS, SPEC.segments, SPEC.joints, SPEC.width)


def test_draw_drop_masks__are_as_likely_as_the_recipe_says():
    drops = draw(2000)
    left_out = (drops.drop_path == 0).double().mean(dim=0)
    deviation = (0.3 * 0.7 / 4000) ** 0.5
    assert left_out[0].tolist() == [0.0, 0.0]
    assert ((left_out[-1] - 0.3).abs() < 4 * deviation).all()
    features = (draw(50).dropout == 0).double()
    assert abs(features.mean() - 0.25) < 4 * (0.25 * 0.75 / features.numel()) ** 0.5


def test_draw_drop_masks__branches_and_bodies_are_left_out_independently():
    left_out = (draw(4000).drop_path[:, -1] == 0).double().view(-1, SLOTS * 2)
    correlation = torch.corrcoef(left_out.T).fill_diagonal_(0)
    assert correlation.abs().max() < 4 / 4000**0.5


def test_draw_drop_masks__do_not_depend_on_the_batch():
    clip = torch.tensor([5, 0, 77, 3])
    together = draw(clip)
    for at, one in enumerate(clip):
        alone = draw(one[None])
        assert torch.equal(together.drop_path[SLOTS * at : SLOTS * at + SLOTS], alone.drop_path)
        assert torch.equal(together.dropout[at], alone.dropout[0])


@pytest.mark.parametrize("change", ["epoch", "seed"])
def test_draw_drop_masks__another_epoch_or_seed_draws_anew(change):
    other = draw(40, epoch=1) if change == "epoch" else draw(40, recipe=RECIPE.replaced(seed=1))
    assert not torch.equal(draw(40).drop_path, other.drop_path)
    assert not torch.equal(draw(40).dropout, other.dropout)
