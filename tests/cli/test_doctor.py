"""`mampctl doctor`: every finding names what mends it, and nothing that is damaged ends the visit."""

import json
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import distributions, metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import zarr
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mamp_schemas.system import ThreadChoice
from mamp_trainer.recipes import load_recipe
from mamp_trainer.training.run_dir import init_run_dir
from mampctl.doctor.data import check_store
from mampctl.doctor.machine import (
    LOW_MEMORY,
    check_cores,
    check_disk,
    check_environment,
    check_gpu,
    check_memory,
    check_no_gpu,
    check_threads,
    check_torch,
)
from mampctl.doctor.packages import EXTRA_PURPOSES, check_extra, check_python, installed_version
from tests.cli.conftest import Run
from tests.paths import GOLDEN, TESTS

REQUIRED = [Requirement(line) for line in ("numpy>=2.0", 'torch>=2.6; extra == "trainer"', 'x>=1; extra == "trainer"')]
WITHOUT_EXTRAS = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
sys.argv = ["mampctl", "doctor", "--json"]
from mampctl.runtime.main import main
main()
"""
PIPELINE = ("dask", "distributed", "h5py", "isal", "numba")
TRAINER = ("torch", "safetensors", "tensorboard")
OTHERS = ("matplotlib", "plotly", "obstore", "onnx", "onnxruntime", "onnxscript")

Finding = Mapping[str, str]


@pytest.fixture
def data(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data folder with a store and one of its two manifests."""
    monkeypatch.setenv("MAMPCTL_DATA", str(tmp_path))
    assert run("ingest", "ntu60", "--raw", GOLDEN / "ntu60" / "raw.zip", "--workers", "0").code == 0
    assert run("build-splits", "--protocol", "xsub").code == 0
    return tmp_path


def visit(run: Run, code: int = 0) -> list[Finding]:
    outcome = run("doctor", "--json")
    assert outcome.code == code, outcome.out
    found: list[Finding] = json.loads(outcome.out)["findings"]
    return found


def about(findings: list[Finding], what: str) -> list[Finding]:
    return [finding for finding in findings if finding["about"] == what]


def test_check_packages_of__all_there() -> None:
    finding = check_extra("", REQUIRED, {"numpy": "2.1"}.get)
    assert (finding.state, finding.text) == ("ok", "numpy 2.1")


def test_check_packages_of__a_missing_extra_is_a_warning_with_the_command() -> None:
    finding = check_extra("trainer", REQUIRED, {"x": "1.5"}.get)
    assert (finding.state, finding.remedy) == ("warning", "pip install 'mampctl[trainer]'")
    assert finding.text.startswith("torch missing, needed by train")


def test_check_packages_of__a_missing_base_is_a_problem() -> None:
    assert check_extra("", REQUIRED, {}.get).state == "problem"


def test_check_packages_of__an_old_package_is_a_problem() -> None:
    finding = check_extra("trainer", REQUIRED, {"torch": "2.5.1", "x": "1"}.get)
    assert (finding.state, finding.text) == ("problem", "torch 2.5.1, expected >=2.6")
    assert finding.remedy == "pip install --upgrade 'mampctl[trainer]'"


def test_purposes__name_every_extra() -> None:
    extras = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRA_PURPOSES) == set(extras) - {"all", "dev"}


def test_installed_version__finds_every_package_of_the_extras_that_is_there() -> None:
    extras = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = [Requirement(line).name for extra in EXTRA_PURPOSES for line in extras[extra]]
    there = {
        distribution.metadata["Name"].lower(): distribution.version
        for distribution in distributions()
        if distribution.metadata["Name"]
    }
    assert [installed_version(name) for name in names] == [there.get(name) for name in names]
    assert installed_version("numpy") == there["numpy"]
    assert installed_version("no-such-package") is None


def test_check_python__an_older_one_is_a_problem() -> None:
    wanted = SpecifierSet(metadata("mampctl")["Requires-Python"])
    assert check_python("3.10.4", wanted).state == "problem"
    assert check_python("3.11.0", wanted).state == "ok"


def test_check_memory__little_is_a_warning() -> None:
    assert (check_memory(LOW_MEMORY).state, check_memory(LOW_MEMORY - 1).state) == ("ok", "warning")


def test_check_disk__is_that_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert f"free in {tmp_path}" in check_disk(tmp_path / "not" / "yet").text


def test_check_threads__says_how_many_and_why() -> None:
    finding = check_threads(ThreadChoice(3, "4 cores, 1.0 in use by other programs"))
    assert finding.text == "a training would take 3 now: 4 cores, 1.0 in use by other programs"


def test_check_cores__a_containers_share_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert "limit leaves 0.5" in check_cores(tmp_path).text
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert "limit" not in check_cores(tmp_path).text


def test_check_no_gpu__a_driver_without_a_gpu_in_torch_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert check_no_gpu(tmp_path / "none").state == "ok"
    assert check_no_gpu(tmp_path).state == "warning"


def test_check_torch__a_broken_one_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    (finding,) = check_torch()
    assert (finding.state, "libcudart.so.12" in finding.text) == ("problem", True)


def gpu(major: int, error: str = "") -> ModuleType:
    """Return a torch with one GPU of that compute capability, or one whose GPU cannot be used."""

    def free(index: int) -> tuple[int, int]:
        if error:
            raise RuntimeError(error)
        return 60 * 2**30, 80 * 2**30

    torch = ModuleType("torch")
    properties = SimpleNamespace(name="GPU X", major=major, minor=0)
    torch.cuda = SimpleNamespace(get_device_properties=lambda index: properties, mem_get_info=free)  # type: ignore[attr-defined]
    return torch


def test_check_gpu__tells_memory_capability_and_bf16() -> None:
    assert check_gpu(gpu(9), 0).text == "GPU X, 60.0 of 80.0 GiB free, capability 9.0, bf16"
    assert check_gpu(gpu(7), 0).text.endswith("capability 7.0, no bf16")


def test_check_gpu__one_that_cannot_be_used_is_a_problem() -> None:
    finding = check_gpu(gpu(9, "CUDA error: device is busy\nmore"), 1)
    assert (finding.state, finding.about, finding.text) == ("problem", "cuda:1", "CUDA error: device is busy")


def test_check_environment__never_shows_a_secret() -> None:
    secrets = {"AWS_ACCESS_KEY_ID": "my-id", "AWS_SECRET_ACCESS_KEY": "my-secret", "MAMPCTL_DATA": "/here"}
    findings = check_environment({"MAMPCTL_TOKEN"}, {**secrets, "MAMPCTL_TOKEN": "my-token"})
    assert [finding.state for finding in findings] == ["ok", "ok"]
    assert "MAMPCTL_DATA=/here" in findings[0].text
    assert "my-" not in str(findings)


def test_check_environment__half_of_the_credentials_is_a_warning() -> None:
    assert check_environment((), {"AWS_ACCESS_KEY_ID": "x"})[1].state == "warning"


def test_doctor__names_stores_manifests_and_the_command_that_makes_a_missing_one(run: Run, data: Path) -> None:
    findings = visit(run)
    assert [finding["state"] for finding in about(findings, "store")] == ["ok"]
    missing = next(finding for finding in about(findings, "split") if finding["state"] == "warning")
    assert run(*shlex.split(missing["remedy"])[1:]).code == 0
    assert {finding["state"] for finding in about(visit(run), "split")} == {"ok"}
    assert (data / "ntu60.xview.json").exists()


def test_doctor__an_unfinished_store_is_a_warning(run: Run, data: Path) -> None:
    zarr.open_group(data / "ntu60.zarr", mode="r+").attrs.put({})
    (finding,) = about(visit(run), "store")
    assert finding["state"] == "warning"
    assert "same `mampctl ingest` command again" in finding["remedy"]


def test_doctor__another_stores_manifest_is_a_problem(run: Run, data: Path) -> None:
    manifest = data / "ntu60.xsub.json"
    manifest.write_text(manifest.read_text().replace('"content_hash": "', '"content_hash": "f'))
    problem = next(finding for finding in about(visit(run, code=1), "split") if finding["state"] == "problem")
    assert "belongs to another store" in problem["text"]
    assert "mampctl build-splits --protocol xsub" in problem["remedy"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"zarr_format": 3, "node_type": "group"}', b"\xff\xfe"])
def test_doctor__damaged_metadata_is_a_finding(run: Run, data: Path, content: bytes) -> None:
    (data / "ntu60.zarr" / "zarr.json").write_bytes(content)
    (finding,) = check_store(data / "ntu60.zarr")
    assert finding.state in ("warning", "problem")
    assert finding.remedy


def test_doctor__damaged_columns_and_files_for_folders_are_findings(run: Run, data: Path) -> None:
    for column in (data / "ntu60.zarr" / "clips").rglob("c/0*"):
        if column.is_file():
            column.write_bytes(b"\x00" * 7)
    (data / "file.zarr").write_text("no store")
    (data / "ntu60.xsub.json").write_text("{")
    (data / "runs").write_text("no folder")
    findings = about(visit(run, code=1), "store")
    assert [finding["state"] for finding in findings] == ["problem", "problem"]
    assert all(finding["remedy"] for finding in findings)


def test_doctor__a_folder_that_is_not_there_says_how_to_begin(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMPCTL_DATA", str(tmp_path / "none"))
    (finding,) = about(visit(run), "data")
    assert (finding["state"], "mampctl ingest" in finding["remedy"]) == ("warning", True)


def test_doctor__a_bucket_for_a_data_folder_is_a_problem(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMPCTL_DATA", "s3://bucket/data")
    (finding,) = about(visit(run, code=1), "data")
    assert finding["remedy"]


def test_doctor__an_unfinished_run_goes_on_by_the_command_it_names(run: Run, data: Path) -> None:
    smaller = ("schedule.epochs=1", "schedule.warmup_epochs=0", "batch_size=4", "model.frames=16")
    smaller += ("model.width=16", "model.depth=1", "model.heads=2")
    recipe = load_recipe("pretrain", "ntu60-xsub", smaller)
    folder = data / "runs" / "begun"
    init_run_dir(folder, recipe, resume=False)
    (finding,) = about(visit(run), "run")
    assert finding["text"] == f"{folder}: not complete"
    words = shlex.split(finding["remedy"].partition(", ")[0])
    assert run(*words[1:]).code == 0
    assert (folder / "run.json").exists()
    assert about(visit(run), "runs")[0]["text"] == f"1 complete in {data / 'runs'}"


def test_doctor__damaged_records_and_recipes_are_problems(run: Run, data: Path) -> None:
    for name, file, content in (("a", "run.json", "{"), ("b", "recipe.yaml", "- ["), ("c", "recipe.yaml", "7")):
        (data / "runs" / name).mkdir(parents=True)
        (data / "runs" / name / file).write_text(content)
    assert [finding["state"] for finding in about(visit(run, code=1), "run")] == ["problem"] * 3


@pytest.mark.parametrize(
    ("blocked", "missing"),
    [
        (TRAINER + OTHERS, {"trainer", "export", "report", "s3"}),
        (PIPELINE + OTHERS, {"pipeline", "export", "report", "s3"}),
        (PIPELINE + TRAINER + OTHERS, {"pipeline", "trainer", "export", "report", "s3"}),
    ],
    ids=["pipeline", "trainer", "base"],
)
def test_doctor__without_extras(data: Path, blocked: tuple[str, ...], missing: set[str]) -> None:
    """An installation of a part tells what the others need, and looks at the data all the same."""
    code = WITHOUT_EXTRAS.format(blocked=set(blocked))
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    findings: list[Finding] = json.loads(outcome.stdout)["findings"]
    extras = [finding for finding in findings if finding["about"] in EXTRA_PURPOSES and finding["state"] == "warning"]
    assert {finding["about"] for finding in extras} == missing
    assert all(finding["remedy"].startswith("pip install") for finding in extras)
    assert about(findings, "store")[0]["state"] == "ok"


def test_doctor__prints_a_line_a_finding_and_the_remedy_below(run: Run, data: Path) -> None:
    lines = run("doctor").out.splitlines()
    place = next(place for place, line in enumerate(lines) if "no manifest of xview" in line)
    assert lines[place].startswith("warning  split")
    assert lines[place + 1].strip().startswith("-> mampctl build-splits")
    assert lines[-1].endswith(" s")
