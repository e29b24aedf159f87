"""The files of a run, damaged in every way: read or refused, in bounded time and memory."""

import json
from pathlib import Path

from tests.limited import GIBIBYTE, run_limited
from tests.trainer.run_folders import write_metrics, write_run
from tests.trainer.runs import linear_recipe

READ = """
import random, sys
from pathlib import Path
from mamp_schemas.errors import MampctlError
from mamp_schemas.io import run_files
from tests.mutations import HOSTILE, mutate

run, draw = Path(sys.argv[1]), random.Random(0)
readers = {
    "run.json": run_files.read_record,
    "metrics.jsonl": run_files.read_curve,
    "recipe.yaml": run_files.read_recipe_data,
    "analysis.json": run_files.read_analysis,
    "checkpoints/step-00000039/meta.json": lambda run: run_files.weights_sha256(run_files.list_checkpoints(run)[0]),
}
for name, read in readers.items():
    good, refused = (run / name).read_bytes(), 0
    for content in (*HOSTILE, *(mutate(good, draw) for _ in range(100))):
        (run / name).write_bytes(content)
        print(name, content[:200], file=sys.stderr)  # the last one is the one at fault
        run_files.read_run(run)
        try:
            read(run)
        except MampctlError as problem:
            assert len(str(problem)) < 3000, len(str(problem))
            refused += 1
    (run / name).write_bytes(good)
    print(name, refused)
"""


def test_run_files__damaged_ones_are_read_or_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", linear_recipe())
    write_metrics(run, *({"event": "train", "epoch": 1, "step": step, "loss": 1.5} for step in range(20)))
    (run / "analysis.json").write_bytes((run / "run.json").read_bytes())
    checkpoint = run / "checkpoints" / "step-00000039"
    checkpoint.mkdir(parents=True)
    (checkpoint / "meta.json").write_text(json.dumps({"files": {"model.safetensors": "0" * 64}}))
    outcome = run_limited(READ, run, seconds=60, memory=3 * GIBIBYTE)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    counts = dict(line.split() for line in outcome.stdout.splitlines())
    assert all(int(count) > 10 for name, count in counts.items() if "meta" not in name), counts
    assert len(counts) == 5
