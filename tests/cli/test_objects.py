"""Every command that takes raw files or a store takes them in a bucket; others refuse a URL."""

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Run
from tests.paths import GOLDEN
from tests.s3_server import SECRET, Bucket
from tests.trainer.runs import pretrain_recipe

RAW = GOLDEN / "ntu60" / "raw.zip"


def test_commands__the_whole_chain_on_a_store_in_a_bucket(run: Run, bucket: Bucket, tmp_path: Path) -> None:
    raw, store = bucket.put("raw.zip", RAW), f"{bucket.url}/stores/ntu60.zarr"
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(pretrain_recipe(residency="stream").model_dump(mode="json")))
    outputs = {}
    for arguments in (
        ("ingest", "ntu60", "--raw", raw, "--out", store, "--workers", 0),
        ("build-splits", "--protocol", "xsub", "--store", store),
        ("verify", store),
        ("info", store, "--json"),
        ("export", "npz", "--protocol", "xsub", "--store", store, "--out", tmp_path / "x.npz"),
        ("export", "pyskl", "--store", store, "--out", tmp_path / "x.pkl"),
        ("train", "pretrain", "--recipe", recipe, "--store", store, "--out", tmp_path / "run"),
    ):
        outcome = run(*arguments)
        assert outcome.code == 0, outcome.err
        assert SECRET not in outcome.out + outcome.err
        outputs[arguments[0]] = outcome.out
    assert f"next: mampctl build-splits --protocol xsub --store {store}" in outputs["ingest"]
    assert f"{bucket.url}/stores/ntu60.xsub.json" in outputs["build-splits"]
    assert "all digests agree" in outputs["verify"]
    content_hash = json.loads(outputs["info"])["content_hash"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["store_hash"] == content_hash
    assert f"--store {store}" in outputs["train"]
    assert not list(Path().glob("s3:*"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "npz", "x.npz", "--protocol", "xsub", "--out", "s3://bucket/s.zarr"),
        ("export", "npz", "--protocol", "xsub", "--out", "s3://bucket/x.npz"),
        ("synth", "ntu60", "--clips", 1, "--out", "s3://bucket/raw.zip"),
        ("demo", "--out", "s3://bucket/demo"),
        ("train", "pretrain", "--out", "s3://bucket/run"),
        ("ingest", "ntu60", "--raw", "raw", "--exclude", "s3://bucket/list.txt"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments[:2])),
)
def test_commands__a_url_where_only_a_path_will_do(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run(*arguments)
    assert outcome.code == 2
    assert "a URL where only a local path is possible" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_ingest__another_scheme(run: Run, tmp_path: Path) -> None:
    outcome = run("ingest", "ntu60", "--raw", RAW, "--out", "gs://bucket/s.zarr")
    assert outcome.code == 2
    assert "URLs of gs:// are not supported" in outcome.err


@pytest.mark.parametrize("command", ["verify", "info"])
def test_commands__a_bucket_that_is_not_there(run: Run, bucket: Bucket, command: str) -> None:
    outcome = run(command, "s3://no-such-bucket/s.zarr")
    assert outcome.code == 1
    assert "s3://no-such-bucket: there is no such bucket" in outcome.err
