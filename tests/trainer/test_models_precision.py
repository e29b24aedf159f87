from pathlib import Path

import pytest
import torch

from mamp_schemas.errors import RecipeError
from mamp_schemas.io.run_files import latest_checkpoint
from mamp_trainer.checkpoints.files import read_checkpoint
from mamp_trainer.models.mamp import MAMP
from mamp_trainer.models.precision import autocast, compile_network, matmul_dtype, matmul_precision
from mamp_trainer.models.transformer import MLP
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.runtime import RunContext
from tests.trainer.runs import make_batch, masked_loss, pretrain_recipe, write_toy_store

CPU = torch.device("cpu")
BATCH = make_batch([[True, True], [True, False]])

torchs_own_warnings = pytest.mark.filterwarnings("ignore:::torch")


def network() -> MAMP:
    recipe = pretrain_recipe()
    torch.manual_seed(0)
    return MAMP(recipe.model, recipe.masking)


def test_matmul_precision__is_put_back_after_the_run() -> None:
    before = torch.get_float32_matmul_precision()
    with matmul_precision("tf32"):
        assert torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == before == "highest"


def test_matmul_precision__is_put_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), matmul_precision("tf32"):
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_matmul_precision__without_tf32_is_the_highest(precision: str) -> None:
    torch.set_float32_matmul_precision("high")
    with matmul_precision(precision):  # type: ignore[arg-type]
        assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "high"
    torch.set_float32_matmul_precision("highest")


def test_autocast__bf16_has_attention_in_bfloat16_and_norms_in_float32() -> None:
    model, seen = network(), {}
    block = model.encoder.blocks[0]
    for name in ("norm1", "attn", "mlp"):
        block.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.update({name: output.dtype})
        )
    with autocast("bf16", CPU):
        model.encoder(BATCH.x.flatten(0, 1))
    assert seen == {"norm1": torch.float32, "attn": torch.bfloat16, "mlp": torch.bfloat16}


def test_loss__bf16_is_near_float32() -> None:
    losses = [masked_loss(network(), pretrain_recipe(precision=name))(BATCH, 0) for name in ("float32", "bf16")]
    assert losses[1].dtype == torch.float32
    assert losses[1].item() != losses[0].item()
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=5e-3)


def test_loss__bf16_hides_the_same_tokens() -> None:
    model, masks = network(), []
    model.register_forward_hook(lambda _module, _inputs, output: masks.append(output.mask))
    for name in ("float32", "bf16"):
        masked_loss(model, pretrain_recipe(precision=name))(BATCH, 0)
    assert torch.equal(*masks)


def test_loss__tf32_is_float32_on_a_cpu() -> None:
    losses = []
    for name in ("float32", "tf32"):
        recipe = pretrain_recipe(precision=name)
        with matmul_precision(recipe.precision):
            losses.append(masked_loss(network(), recipe)(BATCH, 0))
    assert torch.equal(*losses)


def test_pretrain__bf16_leaves_float32_checkpoints(tmp_path: Path) -> None:
    run = tmp_path / "run"
    pretrain(pretrain_recipe(precision="bf16"), write_toy_store(tmp_path), RunContext(run, device="cpu"))
    folder = latest_checkpoint(run)
    assert folder is not None
    saved = read_checkpoint(folder)
    moments = [state["exp_avg"] for state in saved.state["optimiser"]["state"].values()]
    assert {tensor.dtype for tensor in (*saved.weights.values(), *moments)} == {torch.float32}


def assert_same_training(plain: MAMP, compiled: MAMP) -> None:
    losses = [masked_loss(model, pretrain_recipe())(BATCH, 0) for model in (plain, compiled)]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=0)
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
    for one, two in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-6)


def test_mamp__is_one_graph_for_the_compiler() -> None:
    compiled = network()
    compiled.compile(fullgraph=True, backend="aot_eager")
    assert_same_training(network(), compiled)


@pytest.mark.soak
@torchs_own_warnings
def test_compile_network__trains_the_same() -> None:
    compiled = network()
    compile_network(compiled, CPU)
    assert_same_training(network(), compiled)


@torchs_own_warnings
def test_compile_network__same_numbers_under_the_same_names() -> None:
    module, x = MLP(4, 8), torch.randn(3, 4)
    expected, names = module(x), list(module.state_dict())
    compile_network(module, CPU)
    torch.testing.assert_close(module(x), expected)
    assert list(module.state_dict()) == names


@torchs_own_warnings
def test_compile_network__without_a_compiler_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    with config.patch({"cpp.cxx": (str(tmp_path / "g++"),), "force_disable_caches": True}):
        torch.compiler.reset()
        with pytest.raises(RecipeError, match=r"'cpu' here: .*C\+\+ compiler(?s:.*)compile=false"):
            compile_network(MLP(4, 8), CPU)
    torch.compiler.reset()


def test_matmul_dtype__is_what_the_peak_is_measured_in() -> None:
    assert [matmul_dtype(each) for each in ("float32", "tf32", "bf16")] == [
        torch.float32,
        torch.float32,
        torch.bfloat16,
    ]
