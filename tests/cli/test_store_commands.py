"""`build-splits`, `verify`, `info`, `export`: results, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from mamp_schemas.io.store_reader import open_store
from tests.cli.conftest import Run
from tests.paths import GOLDEN
from tests.trainer.stores import seal_store


@pytest.fixture
def store(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "ntu60.zarr"
    assert run("ingest", "ntu60", "--raw", GOLDEN / "ntu60" / "raw.zip", "--out", path).code == 0
    return path


def test_build_splits__shows_counts_against_the_official_ones(run: Run, store: Path) -> None:
    outcome = run("build-splits", "--protocol", "xsub", "--store", store)
    assert "40,091" in outcome.out
    assert "-40,077" in outcome.out
    assert "differ from the official ones" in outcome.out


def test_build_splits__unknown_protocol_names_the_known_ones(run: Run, store: Path) -> None:
    outcome = run("build-splits", "--protocol", "xset", "--store", store)
    assert outcome.code == 2
    assert "its protocols are: xsub, xview" in outcome.err


def test_build_splits__refuses_an_unfinished_store(run: Run, store: Path) -> None:
    zarr.open_group(store, mode="r+").attrs.put({})
    outcome = run("build-splits", "--protocol", "xsub", "--store", store)
    assert outcome.code == 1
    assert "no completion mark" in outcome.err
    assert "same `mampctl ingest` command again" in outcome.err


def test_build_splits__no_store_anywhere(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMPCTL_DATA", str(tmp_path / "empty"))
    outcome = run("build-splits", "--protocol", "xsub")
    assert outcome.code == 2
    assert "mampctl ingest" in outcome.err


def test_verify__finds_a_changed_coordinate(run: Run, store: Path) -> None:
    zarr.open_array(store / "joints", mode="r+")[5, 3, 1] = 7.0
    outcome = run("verify", store, "--json")
    assert outcome.code == 1
    (problem,) = json.loads(outcome.out)["problems"]
    assert problem.endswith("joints/c/0/0/0 is not as it was written there")


def test_verify__finds_what_checksums_do_not_know(run: Run, store: Path) -> None:
    metadata = open_store(store).metadata
    zarr.open_array(store / "joints", mode="r+")[5, 3, 1] = 7.0
    seal_store(store, metadata)
    outcome = run("verify", store, "--json")
    assert outcome.code == 1
    problems = json.loads(outcome.out)["problems"]
    assert any("does not match its digest" in problem for problem in problems)
    assert any("'motion' differs" in problem for problem in problems)


@pytest.mark.parametrize("node", ["joints", "clips", "clips/label"])
def test_verify__finds_damaged_metadata_of_an_array(run: Run, store: Path, node: str) -> None:
    file = store / node / "zarr.json"
    file.write_text(file.read_text().replace("3", "7", 1))
    outcome = run("verify", store)
    assert outcome.code == 1
    assert f"{node}/zarr.json differs from the root's copy of it" in outcome.out


def test_verify__finds_a_flipped_bit_and_names_the_rows(run: Run, store: Path) -> None:
    shard = store / "joints" / "c" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[4_000] ^= 1
    shard.write_bytes(content)
    outcome = run("verify", store)
    assert outcome.code == 1
    assert "'joints' cannot be read" in outcome.out


def test_verify__finds_a_missing_shard(run: Run, store: Path) -> None:
    (store / "intensity" / "c" / "0" / "0").unlink()
    outcome = run("verify", store)
    assert outcome.code == 1
    assert "is gone" in outcome.out


def test_info__tells_policy_counts_and_hash(run: Run, store: Path) -> None:
    outcome = run("info", store)
    assert "NTU RGB+D 60" in outcome.out
    assert "empty_slot zeros" in outcome.out
    metadata = json.loads(run("info", store, "--json").out)
    assert metadata["counts"]["clips"] == 28
    assert metadata["content_hash"] in outcome.out


def test_info__tells_nothing_of_the_machine(run: Run, store: Path) -> None:
    assert str(store.parent) not in run("info", store, "--json").out


def test_info__damaged_metadata_is_no_traceback(run: Run, store: Path) -> None:
    metadata = store / "zarr.json"
    metadata.write_text(metadata.read_text()[:-40])
    outcome = run("info", store)
    assert outcome.code == 1
    assert "not a store of clips" in outcome.err


def test_build_splits__names_the_recipe_of_the_protocol(run: Run, store: Path) -> None:
    outcome = run("build-splits", "--protocol", "xview", "--store", store)
    assert "next: mampctl train pretrain --recipe " in outcome.out


def test_build_splits__store_may_be_the_working_folder(run: Run, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store)
    assert run("build-splits", "--protocol", "xsub", "--store", ".").code == 0
    assert store.with_name("ntu60.xsub.json").exists()


def test_export__refuses_a_clip_on_both_sides(run: Run, store: Path, tmp_path: Path) -> None:
    run("build-splits", "--protocol", "xsub", "--store", store)
    manifest = tmp_path / "ntu60.xsub.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "test": content["train"]}))
    outcome = run("export", "npz", "--store", store, "--protocol", "xsub", "--out", tmp_path / "x.npz")
    assert outcome.code == 1
    assert "no clip may be in both splits" in outcome.err


def test_export__makes_the_folder_of_its_output(run: Run, store: Path, tmp_path: Path) -> None:
    run("build-splits", "--protocol", "xsub", "--store", store)
    out = tmp_path / "new" / "x.npz"
    outcome = run("export", "npz", "--store", store, "--protocol", "xsub", "--out", out, "--json")
    assert json.loads(outcome.out) == {"file": str(out), "train": 14, "test": 14}


def test_info__not_a_store(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "not a store of clips" in run("info", tmp_path / "folder").err


def test_export__needs_the_manifest_and_names_the_command(run: Run, store: Path, tmp_path: Path) -> None:
    outcome = run("export", "npz", "--store", store, "--protocol", "xsub", "--out", tmp_path / "x.npz")
    assert outcome.code == 1
    assert f"mampctl build-splits --protocol xsub --store {store}" in outcome.err


def test_export__refuses_a_manifest_of_another_store(run: Run, store: Path, tmp_path: Path) -> None:
    run("build-splits", "--protocol", "xsub", "--store", store)
    manifest = tmp_path / "ntu60.xsub.json"
    manifest.write_text(manifest.read_text().replace('"content_hash": "', '"content_hash": "f'))
    outcome = run("export", "npz", "--store", store, "--protocol", "xsub", "--out", tmp_path / "x.npz")
    assert outcome.code == 1
    assert "belongs to another store" in outcome.err


def test_export__never_overwrites(run: Run, store: Path, tmp_path: Path) -> None:
    run("build-splits", "--protocol", "xsub", "--store", store)
    out = tmp_path / "x.npz"
    out.write_text("mine")
    assert run("export", "npz", "--store", store, "--protocol", "xsub", "--out", out).code == 1
    assert out.read_text() == "mine"


def test_export__arrays_have_the_layout_existing_code_reads(run: Run, store: Path, tmp_path: Path) -> None:
    run("build-splits", "--protocol", "xview", "--store", store)
    out = tmp_path / "x.npz"
    run("export", "npz", "--store", store, "--protocol", "xview", "--out", out)
    with np.load(out) as file:
        arrays = dict(file)
    assert set(arrays) == {"x_train", "y_train", "names_train", "x_test", "y_test", "names_test"}
    assert arrays["x_train"].shape == (19, 300, 150)
    assert arrays["x_train"].dtype == np.float32
    assert arrays["y_test"].shape == (9, 60)
