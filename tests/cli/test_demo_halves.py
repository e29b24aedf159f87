"""`mampctl demo` in an installation of one half: it does what it can, and says what it left out."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {forbidden!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
import mampctl.commands.demo
mampctl.commands.demo.CLIPS, mampctl.commands.demo.SUBJECTS = 24, 4
from mampctl.runtime.main import main
sys.argv = ["mampctl", "demo", "--out", {out!r}]
main()
"""

TRAINER = {"torch", "safetensors", "tensorboard", "onnx", "onnxruntime", "onnxscript"}
PIPELINE = {"dask", "distributed", "h5py", "isal", "numba", "llvmlite"}


def demo_without(packages: set[str], out: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo on few clips where some packages are not installed."""
    code = CODE.format(forbidden=packages, out=str(out))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)


def test_demo__without_the_trainer_ends_at_the_store_and_says_so(tmp_path: Path) -> None:
    outcome = demo_without(TRAINER, tmp_path / "demo")
    assert outcome.returncode == 0, outcome.stderr
    assert "pre-training and linear evaluation were left out" in outcome.stdout
    assert "pip install 'mampctl[trainer]'" in outcome.stdout
    assert f"mampctl train pretrain --recipe ntu60-demo --store {tmp_path}/demo/ntu60.zarr" in outcome.stdout
    assert "top-1" not in outcome.stdout
    assert (tmp_path / "demo" / "ntu60.zarr" / "zarr.json").is_file()
    assert not (tmp_path / "demo" / "runs").exists()


def test_demo__without_the_pipelines_extra_does_all_of_it(tmp_path: Path) -> None:
    outcome = demo_without(PIPELINE, tmp_path / "demo")
    assert outcome.returncode == 0, outcome.stderr
    assert "pre-trained by MAMP" in outcome.stdout
    assert "left out" not in outcome.stdout
    assert (tmp_path / "demo" / "runs" / "linear-pretrained" / "run.json").is_file()
