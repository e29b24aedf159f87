"""Compose, Kubernetes and SLURM files follow their schemas and agree with each other."""

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from typer.core import TyperCommand, TyperGroup

from mamp_schemas.errors import EXIT_CODES
from mampctl.runtime.app import root_command
from mampctl.runtime.environment import unknown_variables

DOCKER = Path(__file__).parent.parent.parent / "docker"
COMPOSE = ("compose.yaml", "compose.gpu.yaml")
MANIFESTS = ("ingest.yaml", "split.yaml", "pretrain.yaml")
BATCH = ("ingest.sbatch", "pretrain.sbatch")
SBATCH_OPTIONS = {
    *("account", "array", "cpus-per-gpu", "cpus-per-task", "constraint", "dependency", "error", "exclusive", "export"),
    *(
        "gpus",
        "gpus-per-node",
        "gpus-per-task",
        "gres",
        "hint",
        "job-name",
        "mem",
        "mem-per-cpu",
        "mem-per-gpu",
        "nodes",
    ),
    *("ntasks", "ntasks-per-gpu", "ntasks-per-node", "open-mode", "output", "partition", "qos", "requeue", "signal"),
    *("time", "tmp"),
}
"""Long options of sbatch, from its manual."""


def load(name: str) -> Any:
    return yaml.safe_load((DOCKER / name).read_text())


def settings() -> dict[str, str]:
    lines = (line for line in (DOCKER / "settings.env").read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DOCKER / "kubernetes" / name).read_text()))


def job(name: str) -> dict[str, Any]:
    (document,) = (document for document in documents(name) if document["kind"] == "Job")
    return document


def called(words: list[str]) -> TyperCommand:
    """Return the command that words call, after any groups."""
    group = root_command()
    for word in words:
        command = group.commands[word]
        if isinstance(command, TyperCommand):
            return command
        assert isinstance(command, TyperGroup)
        group = command
    raise AssertionError(words)


def refused(words: list[str]) -> set[str]:
    """Return the options among words that their command does not have."""
    known = {name for option in called(words).params for name in option.opts}
    return {word for word in words if word.startswith("--")} - known


@pytest.mark.parametrize("name", COMPOSE)
def test_compose__follows_the_compose_specification(name: str) -> None:
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(load(name), json.loads(schema.read_text()))


def test_compose__variables_are_those_of_the_settings() -> None:
    text = (DOCKER / "compose.yaml").read_text()
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    assert used <= set(settings())
    assert (DOCKER / ".env").resolve() == DOCKER / "settings.env"


def test_compose__settings_are_variables_of_options() -> None:
    names = {name: "" for name in settings() if name.startswith("MAMPCTL_")}
    assert "MAMPCTL_INGEST_RAW" in names
    assert unknown_variables(root_command(), names) == {}


def test_commands__in_kubernetes_and_slurm_know_their_options() -> None:
    calls = [job(name)["spec"]["template"]["spec"]["containers"][0]["args"] for name in MANIFESTS]
    for name in BATCH:
        text = (DOCKER / "slurm" / name).read_text().replace("\\\n", " ")
        calls += [
            line.rstrip("&").split() for line in re.findall(r"^[^#\n]*?\bmampctl ((?:ingest|train) .*)$", text, re.M)
        ]
    assert [words[0] for words in calls] == ["ingest", "build-splits", "train", "ingest", "train"]
    assert [refused(words) for words in calls] == [set()] * len(calls)


def test_compose__every_service_is_locked_or_the_bucket() -> None:
    services = load("compose.yaml")["services"]
    ours = {name: service for name, service in services.items() if service["image"].startswith("mampctl-")}
    assert set(services) - set(ours) == {"bucket", "new-bucket"}
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in ours.values())
    assert {name for name, service in ours.items() if "healthcheck" in service} == {"scheduler", "worker"}


def test_compose__credentials_come_from_the_settings_alone() -> None:
    assert "AWS_" not in re.sub(r"\$\$\w+", "", (DOCKER / "compose.yaml").read_text())
    services = load("compose.yaml")["services"].values()
    assert {service["env_file"] for service in services} == {"settings.env"}


def test_compose__folders_that_are_missing_are_not_made() -> None:
    volumes = [volume for service in load("compose.yaml")["services"].values() for volume in service.get("volumes", [])]
    binds = [volume for volume in volumes if isinstance(volume, dict)]
    assert {volume["target"] for volume in binds} == {"/raw", "/data"}
    assert not any(volume["bind"]["create_host_path"] for volume in binds)


@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes__documents_follow_their_schemas(name: str) -> None:
    for document in documents(name):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes__every_container_asks_for_memory_and_has_a_limit(name: str) -> None:
    for document in documents(name):
        if document["kind"] in ("Deployment", "Job"):
            pod = document["spec"]["template"]["spec"]
            for container in [*pod["containers"], *pod.get("initContainers", [])]:
                assert {"cpu", "memory"} <= set(container["resources"]["requests"])
                assert "memory" in container["resources"]["limits"]
                assert container["securityContext"]["readOnlyRootFilesystem"]


def test_kubernetes__a_training_that_was_stopped_is_no_failure() -> None:
    rules = job("pretrain.yaml")["spec"]["podFailurePolicy"]["rules"]
    codes = {code: rule["action"] for rule in rules for code in rule.get("onExitCodes", {}).get("values", [])}
    assert codes == {75: "Ignore", 2: "FailJob"}
    assert 75 in EXIT_CODES.values()
    assert {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]} in rules


def test_kubernetes__pods_of_the_training_meet_at_the_first_one() -> None:
    service = next(document for document in documents("pretrain.yaml") if document["kind"] == "Service")
    training = job("pretrain.yaml")
    (container,) = training["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    name, subdomain = training["metadata"]["name"], training["spec"]["template"]["spec"]["subdomain"]
    assert environment["MEETING_PLACE"] == f"{name}-0.{subdomain}"
    assert (service["metadata"]["name"], service["spec"]["clusterIP"]) == (subdomain, "None")
    assert int(environment["NODES"]) == training["spec"]["completions"] == training["spec"]["parallelism"]
    assert environment["GPUS"] == container["resources"]["limits"]["nvidia.com/gpu"]


@pytest.mark.parametrize("name", BATCH)
def test_slurm__script_parses_and_its_options_are_known(name: str) -> None:
    path = DOCKER / "slurm" / name
    subprocess.run(["bash", "-n", path], check=True)
    lines = [line for line in path.read_text().splitlines() if line.startswith("#SBATCH")]
    options = [re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line) for line in lines]
    assert all(options), lines
    values = {option[1]: option[2] for option in options if option}
    assert set(values) <= SBATCH_OPTIONS
    assert len(values) == len(lines)
    assert "requeue" in values
    assert values["signal"] == "B:TERM@120"
