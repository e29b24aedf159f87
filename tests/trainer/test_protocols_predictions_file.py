"""`scores.npz`: what was written comes back, and a changed file is noticed, in bounded time and memory."""

import random

import numpy as np
import torch

from mamp_trainer.protocols.predictions import ClipPredictions
from tests.limited import GIBIBYTE, run_limited

READ_ALL = """
import sys
from pathlib import Path
from mamp_schemas.errors import CheckpointError
from mamp_trainer.protocols.predictions import ClipPredictions
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read = ClipPredictions.read(path)
        print(f"{path.name}|{read.clip} {read.label.tolist()} {read.logits.tolist()}", flush=True)
    except CheckpointError:
        print(f"{path.name}|damaged", flush=True)
"""


def test_read__a_changed_file_is_noticed(tmp_path):
    predictions = ClipPredictions(["a", "bc"], torch.tensor([1, 0]), torch.tensor([[0.5, 1.5], [2.0, -1.0]]))
    whole = predictions.to_bytes()
    (tmp_path / "whole").write_bytes(whole)
    np.savez(tmp_path / "short.npz", clip=["a"], label=np.array([1, 0]), logits=np.zeros((2, 2), np.float32))
    np.savez(tmp_path / "kind.npz", clip=["a"], label=np.array([1.5]), logits=np.zeros((1, 2), np.float32))
    huge = b"\x93NUMPY\1\0\x76\0" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (10**13, 2), }".ljust(118)
    (tmp_path / "huge").write_bytes(whole.replace(whole[whole.index(b"\x93NUMPY") :][:128], huge))
    chance = random.Random(2)
    for number in range(200):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (tmp_path / str(number)).write_bytes(data[: chance.randrange(len(data))] if number % 8 == 0 else data)

    outcome = run_limited(READ_ALL, tmp_path, memory=4 * GIBIBYTE)

    assert outcome.returncode == 0, outcome.stderr[-2000:]
    answers = dict(line.split("|") for line in outcome.stdout.splitlines())
    assert len(answers) == 204
    assert set(answers.values()) == {"damaged", answers["whole"]}
    assert {answers[name] for name in ("short.npz", "kind.npz", "huge")} == {"damaged"}
