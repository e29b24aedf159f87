from pathlib import Path

import numpy as np
import torch

from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.recipe import SamplingSpec
from mamp_trainer.data.batches import Clips, TrainBatches
from mamp_trainer.data.clips import store_clip_table
from mamp_trainer.data.rng import RngStream, uniform
from mamp_trainer.data.streaming import load_all_rows
from tests.benchmarks.plain_loader import FRAMES, crop, resize, turn
from tests.trainer.stores import make_clips, write_store

CPU = torch.device("cpu")


def test_plain_loader__makes_the_samples_it_is_compared_with(tmp_path: Path) -> None:
    made = make_clips([(2, 50 + 17 * number) for number in range(6)])
    store = open_store(write_store(tmp_path / "s.zarr", made, shard_rows=4096))
    table = store_clip_table(store, np.arange(6))
    clips = Clips(table, load_all_rows(store, table, CPU, with_motion=False), None, CPU)
    batch = TrainBatches(clips, SamplingSpec(), FRAMES, 0, 6, 2, "zeros").batch(0, 0)
    places = uniform(0, 0, RngStream.CROP, batch.clip, 2).double().numpy()
    angles = (2 * uniform(0, 0, RngStream.ROTATION, batch.clip, 3).double().numpy() - 1) * 0.3
    for at, clip in enumerate(batch.clip.tolist()):
        plain = turn(resize(crop(made[clip].joints.swapaxes(0, 1), *places[at])), angles[at])
        assert float(np.abs(plain.swapaxes(0, 1) - batch.x[at].numpy()).max()) < 1e-4
