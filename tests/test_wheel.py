"""The wheel, installed into a fresh environment outside the repository, runs the demo."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


pytestmark = pytest.mark.xdist_group("installed")  # built and installed once


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_wheel__holds_the_four_packages_their_recipes_and_types(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {"mamp_schemas", "mamp_pipeline", "mamp_trainer", "mampctl"} == {t for t in tops if "dist-info" not in t}
    assert "mamp_trainer/recipes/pretrain/ntu60-xsub.yaml" in names
    assert "mamp_pipeline/datasets/custom/layouts/kinect_v2.yaml" in names
    assert "mamp_pipeline/report/assets/viewer.js" in names
    assert "mampctl/py.typed" in names


def test_wheel__runs_the_demo_outside_the_repository(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    venv.create(environment, with_pip=True)
    bin_folder = environment / "bin"
    pip = [bin_folder / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    # Its dependencies are lent from the environment of the tests; the wheel's own packages stand before them.
    (site,) = (environment / "lib").glob("python*/site-packages")
    (site / "lent.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n")
    work = tmp_path / "work"
    work.mkdir()
    where = "import mamp_schemas, mamp_pipeline, mamp_trainer, mampctl as m; print(m.__file__, mamp_trainer.__file__)"
    found = subprocess.run([bin_folder / "python", "-c", where], cwd=work, check=True, capture_output=True, text=True)
    assert all(path.startswith(str(environment)) for path in found.stdout.split())
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    demo = subprocess.run(
        [bin_folder / "mampctl", "demo"], cwd=work, env=clean, capture_output=True, text=True, check=False
    )
    assert demo.returncode == 0, demo.stderr
    assert "pre-trained by MAMP" in demo.stdout
    assert "untrained" in demo.stdout
    assert "mampctl ingest ntu60 --raw nturgbd_skeletons_s001_to_s017.zip" in demo.stdout
    assert list(work.iterdir()) == []
