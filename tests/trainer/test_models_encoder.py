import torch

from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.models.mamp import Encoder, motion

SPEC = ModelSpec(joints=3, frames=8, segment=4, width=16, depth=2, heads=2)


def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(SPEC).double()


def test_forward__returns_every_token():
    assert encoder()(torch.randn(2, 8, 3, 3, dtype=torch.float64)).shape == (2, 6, 16)


def test_forward__follows_the_order_of_the_kept_tokens():
    network, x = encoder(), torch.randn(2, 8, 3, 3, dtype=torch.float64)
    order = torch.tensor([[5, 0, 3, 1, 4, 2], [0, 1, 2, 3, 5, 4]])

    features = network(x, order)

    torch.testing.assert_close(features, network(x).take_along_dim(order[:, :, None], dim=1))


def test_forward__sees_kept_tokens_only():
    network, x = encoder(), torch.randn(1, 8, 3, 3, dtype=torch.float64)
    changed = x.clone()
    changed[:, 4:] += 1.0
    keep = torch.tensor([[0, 2]])

    assert torch.equal(network(x, keep), network(changed, keep))
    assert not torch.equal(network(x), network(changed))


def test_forward__tells_segments_and_joints_apart():
    features = encoder()(torch.zeros(1, 8, 3, 3, dtype=torch.float64))[0]

    assert len({tuple(row) for row in features.tolist()}) == SPEC.tokens


def test_forward__of_motion_sees_differences_from_frame_to_frame():
    torch.manual_seed(0)
    moving, x = Encoder(SPEC.replaced(input="motion")).double(), torch.randn(2, 8, 3, 3, dtype=torch.float64)
    seen = encoder()
    seen.load_state_dict(moving.state_dict())

    torch.testing.assert_close(moving(x), seen(motion(x, 1)))
    torch.testing.assert_close(moving(x + 3.0), moving(x))


def test_forward__without_a_branch_is_that_of_an_encoder_without_it():
    network, x = encoder(), torch.randn(2, 8, 3, 3, dtype=torch.float64)
    paths = torch.ones(2, 2, 2, dtype=torch.float64)
    paths[1, 1] = 0
    shorter = Encoder(SPEC.replaced(depth=1)).double()
    shorter.load_state_dict({name: value for name, value in network.state_dict().items() if "blocks.1" not in name})

    features = network(x, drop_path=paths)

    torch.testing.assert_close(features[0], network(x)[0])
    torch.testing.assert_close(features[1], shorter(x)[1])


def test_forward__with_two_threads_has_the_same_gradients_every_time():
    spec = ModelSpec(width=64, depth=1, heads=2)
    torch.manual_seed(0)
    network, x = Encoder(spec), torch.randn(32, spec.frames, spec.joints, 3)
    keep = torch.rand(32, spec.tokens).argsort(dim=1)[:, :74]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        gradients = [_position_gradient(network, x, keep) for _ in range(8)]
    finally:
        torch.set_num_threads(before)

    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)


def _position_gradient(network: Encoder, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    network.zero_grad()
    network(x, keep).square().mean().backward()
    assert network.pos_embed.grad is not None
    return network.pos_embed.grad.clone()
