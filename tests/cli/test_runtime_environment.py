"""Options from the environment: every option has a variable, which is read as on the command line."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import typer

from mampctl.runtime.app import root_command
from mampctl.runtime.environment import variable_options, walk_commands
from tests.cli.conftest import Run
from tests.paths import GOLDEN

RAW = GOLDEN / "ntu60" / "raw.zip"


def variables() -> list[str]:
    """Return the variables of all commands; those of several commands are in it several times."""
    return [str(option.envvar) for _, command in walk_commands(root_command()) for option in variable_options(command)]


def test_bind_variables__are_named_after_command_and_option() -> None:
    assert {
        "MAMPCTL_INGEST_WORKERS",
        "MAMPCTL_BUILD_SPLITS_PROTOCOL",
        "MAMPCTL_TRAIN_PRETRAIN_RECIPE",
        "MAMPCTL_TRAIN_LINEAR_FROM",
        "MAMPCTL_TRAIN_SEMI_SET",
        "MAMPCTL_VERIFY_JSON",
        "MAMPCTL_EXPORT_NPZ_OUT",
    } <= set(variables())


def test_bind_variables__no_two_options_share_one_nor_take_a_name_that_is_used() -> None:
    counts = Counter(variables())
    assert len(counts) > 100
    shared = {"MAMPCTL_QUIET", "MAMPCTL_RUN_ID", "MAMPCTL_THREADS"}
    assert {name for name, count in counts.items() if count > 1} == shared
    assert not {"MAMPCTL_DATA", "MAMPCTL_LAUNCHER", "MAMPCTL_VERSION", "MAMPCTL_SHOW_COMPLETION"}.intersection(counts)


def test_bind_variables__every_variable_sets_its_option(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variables():
        monkeypatch.setenv(name, "'1'")
    for _, command in walk_commands(root_command()):
        context = typer.Context(command, info_name="any")  # type: ignore[arg-type]
        for option in variable_options(command):
            value, source = option.consume_value(context, {})  # type: ignore[arg-type]
            assert source.name == "ENVIRONMENT"
            assert value == (["1"] if option.multiple else "'1'"), option.envvar


def test_consume_value__refuses_an_option_of_one_value_that_has_two(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = [tmp_path / "ntu60 list.txt", tmp_path / "more.txt"]
    for path in lists:
        path.write_text("S001C001P008R002A042\n")
    store = tmp_path / "s.zarr"
    ingest = ("ingest", "ntu60", "--raw", RAW, "--out", store, "--workers", "0", "--exclude", lists[0])
    outcome = run(*ingest, "--exclude", lists[1])
    assert outcome.code == 2
    assert f"--exclude has 2 values: {lists[0]}, {lists[1]}" in outcome.err
    assert not store.exists()
    # Once on the command line goes before the variable, and options of several values are as before.
    monkeypatch.setenv("MAMPCTL_INGEST_EXCLUDE", str(lists[1]))
    outcome = run(*ingest, "--exclude", lists[0], "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["counts"]["excluded"] == 1
    assert "is there twice" in run(*ingest, "--raw", RAW).err


def test_main__takes_options_from_the_environment(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "two parts").mkdir()
    raw = tmp_path / "two parts" / "raw.zip"
    raw.symlink_to(RAW)
    monkeypatch.setenv("MAMPCTL_INGEST_RAW", f"'{raw}'")
    monkeypatch.setenv("MAMPCTL_INGEST_OUT", str(tmp_path / "s.zarr"))
    monkeypatch.setenv("MAMPCTL_INGEST_WORKERS", "0")
    monkeypatch.setenv("MAMPCTL_INGEST_JSON", "true")
    monkeypatch.setenv("MAMPCTL_INGEST_STRICT", "0")
    outcome = run("ingest", "ntu60")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["counts"]["clips"] > 0
    monkeypatch.setenv("MAMPCTL_VERIFY_JSON", "")
    assert "all digests agree" in run("verify", tmp_path / "s.zarr").out


def test_main__an_empty_data_folder_counts_as_none(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMPCTL_DATA", "")
    assert "writing to data/ntu60.zarr" in run("ingest", "ntu60", "--raw", tmp_path / "none").err


def test_main__an_option_wins_over_its_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMPCTL_TRAIN_PRETRAIN_RECIPE", "nonsense")
    outcome = run("train", "pretrain", "--recipe", "list")
    assert outcome.code == 0, outcome.err
    assert "ntu60-xsub" in outcome.out


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MAMPCTL_TRAIN_PRETRAIN_DEVICES", "many", "MAMPCTL_TRAIN_PRETRAIN_DEVICES: Invalid value for '--devices'"),
        ("MAMPCTL_TRAIN_PRETRAIN_SET", "'a=b", "MAMPCTL_TRAIN_PRETRAIN_SET"),
        ("MAMPCTL_TRAIN_PRETRAIN_JSON", "perhaps", "MAMPCTL_TRAIN_PRETRAIN_JSON: Invalid value for '--json'"),
        ("MAMPCTL_QUIET", "perhaps", "MAMPCTL_QUIET"),
        ("MAMPCTL_RUN_ID", "two words", "MAMPCTL_RUN_ID"),
        ("MAMPCTL_TRAIN_PRETRAIN_OUT", "s3://bucket/run", "a URL where only a local path is possible"),
        ("MAMPCTL_TRAIN_PRETRAIN_OUT", "s3://bucket/run", "From the environment: MAMPCTL_TRAIN_PRETRAIN_OUT."),
    ],
)
def test_main__an_invalid_value_is_a_usage_error(
    run: Run, name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    outcome = run("train", "pretrain", "--recipe", "list")
    assert outcome.code == 2
    assert message in outcome.err


def test_main__warns_of_variables_that_set_no_option(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those misspelt; not what Kubernetes sets for a service mampctl-scheduler, and of several ranks only the first."""
    monkeypatch.setenv("MAMPCTL_VERFY_JSON", "1")
    monkeypatch.setenv("MAMPCTL_DATA", "here")
    for name in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_DASK", "PORT", "PORT_8786_TCP", "PORT_8786_TCP_ADDR"):
        monkeypatch.setenv(f"MAMPCTL_SCHEDULER_{name}", "10.0.0.1")
    warning, error = [json.loads(line) for line in run("--quiet", "verify", tmp_path / "none").err.splitlines()]
    assert warning["level"] == "warning"
    assert warning["text"] == "MAMPCTL_VERFY_JSON sets no option. Did you mean MAMPCTL_VERIFY_JSON?"
    assert error["event"] == "error"
    monkeypatch.setenv("RANK", "1")
    assert "warning" not in run("--quiet", "verify", tmp_path / "none").err


def test_main__an_error_names_the_variables_that_took_part(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of this command, and only where no option is given in their place."""
    monkeypatch.setenv("MAMPCTL_INGEST_SCHEDULER", "tcp://scheduler:8786")
    monkeypatch.setenv("MAMPCTL_INGEST_RAW", str(tmp_path))
    monkeypatch.setenv("MAMPCTL_VERIFY_JSON", "1")
    error = json.loads(run("ingest", "ntu60", f"--raw={tmp_path}", "--workers", 2).err)
    assert error["remedy"] == "Give one of them. From the environment: MAMPCTL_INGEST_SCHEDULER."


def test_help__tells_of_the_environment_and_stays_readable() -> None:
    command = [sys.executable, "-m", "mampctl"]
    whole = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "docs/environment.md" in whole
    ingest = subprocess.run([*command, "ingest", "--help"], capture_output=True, text=True, check=True).stdout
    assert "MAMPCTL_INGEST" not in ingest
