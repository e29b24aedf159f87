import json
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mamp_trainer.models.transformer import Blocks
from tests.benchmarks.gpu_measures import blocks_flops
from tests.benchmarks.gpu_step import main
from tests.benchmarks.plain_step import plain_block


def test_main__measures_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--out", str(tmp_path / "found.json"), "--device", "cpu", "--rehearse"])
    found, printed = json.loads((tmp_path / "found.json").read_text()), capsys.readouterr().out
    assert all(seconds > 0 for seconds in found["seconds_per_step"].values())
    assert {len(curve) for curve in found["loss"]["curves"].values()} == {25}
    assert found["loss"]["between_seeds"] > found["loss"]["of_bf16"] > 0
    assert found["ratio"] == pytest.approx(
        found["seconds_per_step"]["plain float32"] / found["seconds_per_step"]["bf16, compiled"]
    )
    assert len(found["reached"]) == 5
    assert all(claim in printed for claim in found["reached"])


def test_blocks_flops__are_those_of_the_operations() -> None:
    blocks = Blocks(2, 16, 4, 4)
    x = torch.randn(3, 10, 16, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        made = x
        for block in blocks:
            made = plain_block(block, made)
        made.sum().backward()
    assert counter.get_total_flops() == blocks_flops(2, (3, 10, 16), 4)
