"""Everything that is to be measured about the training step on a GPU, as a table and as JSON.

    python -m tests.benchmarks.gpu_step --out FILE

takes some ten minutes on one GPU. `--rehearse` runs through it with a tiny network, for instance on a CPU.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mamp_schemas.models.recipe import ModelSpec
from mamp_trainer.recipes import load_recipe
from mamp_trainer.training.run_dir import package_versions
from mamp_trainer.training.runtime import choose_device, describe_device
from tests.benchmarks.gpu_measures import (
    EPOCHS,
    NTU60_XSUB_CLIPS,
    Scale,
    compare_curves,
    data_wait,
    decoder_share,
    time_steps,
)

FULL = Scale(load_recipe("pretrain", "ntu60-xsub"), compiled=True, rounds=20, clips=2_048, curve_steps=500, matrix=8192)
TINY = Scale(
    FULL.recipe.replaced(
        model=ModelSpec(frames=16, width=16, depth=1, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2),
        batch_size=4,
    ),
    compiled=False,
    rounds=2,
    clips=12,
    curve_steps=25,
    matrix=64,
)


def measure(scale: Scale, device: torch.device) -> dict[str, Any]:
    """Measure all there is to measure, and judge it by what is asked for."""
    steps, data = time_steps(scale, device), data_wait(scale, device)
    decoder, curves = decoder_share(scale, device), compare_curves(scale, device)
    plain, fast = steps["plain float32"], steps["bf16, compiled"]
    ratio = None if plain is None or fast is None else plain / fast
    hours = EPOCHS * (NTU60_XSUB_CLIPS // scale.recipe.batch_size) * data["step"] / 3600
    return {
        "device": describe_device(device),
        "versions": package_versions(),
        "batch_size": scale.recipe.batch_size,
        "seconds_per_step": steps,
        "ratio": ratio,
        "decoder": decoder,
        "data": data,
        "projected_hours": hours,
        "loss": curves,
        "reached": {
            "bf16 and compiled at least 6 x the plain float32 step": ratio is not None and ratio >= 6,
            "decoder's blocks at least 35 % of the bf16 peak": decoder["share"] >= 0.35,
            "data wait under 2 % of the step": data["share"] < 0.02,
            "400 epochs of NTU-60 xsub under 1 hour": hours < 1,
            "bf16's loss no further from float32's than another seed's": curves["of_bf16"] <= curves["between_seeds"],
        },
    }


def table(found: dict[str, Any]) -> str:
    """Return what was measured as lines of text."""
    plain, clips = found["seconds_per_step"]["plain float32"], found["batch_size"]
    lines = [f"{found['device']}, batch of {clips} clips"]
    for name, seconds in found["seconds_per_step"].items():
        if seconds is None:
            lines.append(f"{name:<18} out of memory")
            continue
        ratio = "" if plain is None else f"  {plain / seconds:5.2f} x plain"
        lines.append(f"{name:<18} {1e3 * seconds:8.1f} ms  {clips / seconds:8.0f} clips/s{ratio}")
    rate, peak, share = found["decoder"].values()
    lines += [
        f"decoder's blocks   {rate / 1e12:.1f} of {peak / 1e12:.1f} TFLOP/s, {share:.1%}",
        f"data wait          {found['data']['share']:.2%} of {1e3 * found['data']['step']:.1f} ms",
        f"400 epochs         {found['projected_hours']:.2f} h (NTU-60 xsub)",
        f"loss               bf16 off by {found['loss']['of_bf16']:.4f}, "
        f"another seed by {found['loss']['between_seeds']:.4f}",
    ]
    lines += [f"{'yes' if reached else 'NO ':<3} {claim}" for claim, reached in found["reached"].items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description="Measure the training step on a GPU.")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to be written")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0")
    parser.add_argument("--rehearse", action="store_true", help="run through with a tiny network")
    given = parser.parse_args(arguments)
    found = measure(TINY if given.rehearse else FULL, choose_device(given.device))
    print(table(found))
    given.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
