"""Pods of the Kubernetes files, run as containers of docker or podman on a separate network.

There is no kubelet, but all settings of a container come from its template in the file.
"""

import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.images.engine import engine

MANIFESTS = Path(__file__).parents[2] / "docker" / "kubernetes"


def document(name: str, kind: str, component: str) -> dict[str, Any]:
    """Return a document of a file."""
    documents = yaml.safe_load_all((MANIFESTS / name).read_text())
    named = (kind, f"mampctl-{component}")
    (match,) = (document for document in documents if (document["kind"], document["metadata"]["name"]) == named)
    return dict(match)


@dataclass(frozen=True)
class Pod:
    """A running container; `seconds` is the time between SIGTERM and SIGKILL."""

    name: str
    seconds: int

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        return int(_call("wait", self.name))

    def running(self) -> bool:
        return _call("inspect", "--format", "{{.State.Running}}", self.name) == "true"

    def terminate(self) -> None:
        """Stop it as a kubelet does."""
        _call("stop", "--time", str(self.seconds), self.name)

    def run(self, *command: str) -> str:
        """Run a command in the container and return its output."""
        return _call("exec", self.name, *command)

    def logs(self) -> str:
        done = subprocess.run([engine(), "logs", self.name], capture_output=True, text=True)
        return done.stdout + done.stderr


@dataclass
class Cluster:
    """A network, a folder instead of the claim, and the containers."""

    data: Path
    images: Mapping[str, str]
    network: str = field(default_factory=lambda: f"mampctl-pods-{uuid.uuid4().hex[:8]}")
    names: list[str] = field(default_factory=list)

    def start(
        self,
        owner: dict[str, Any],
        container: str,
        *,
        index: int = 0,
        arguments: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        alias: str = "",
    ) -> Pod:
        """Start a container of a Job's or Deployment's template.

        Args:
            owner: the document.
            container: its name in the template; may be an init container.
            index: which pod of an indexed Job.
            arguments: replace its `args`.
            environment: replaces and extends its `env`.
            alias: the name of its Service.
        """
        template = owner["spec"]["template"]["spec"]
        every = [*template["containers"], *template.get("initContainers", [])]
        (spec,) = (candidate for candidate in every if candidate["name"] == container)
        host = f"{owner['metadata']['name']}-{index}"
        aliases = [alias] if alias else []
        aliases += [f"{host}.{template['subdomain']}"] if "subdomain" in template else []
        name = f"{self.network}-{container}-{len(self.names)}"
        variables = {entry["name"]: entry["value"] for entry in spec.get("env", [])}
        variables |= {"JOB_COMPLETION_INDEX": str(index), "OMP_NUM_THREADS": "1", **(environment or {})}
        words = [*spec.get("command", []), *(spec.get("args", []) if arguments is None else arguments)]
        entry = ["--entrypoint", words.pop(0)] if "command" in spec else []
        self.names.append(name)
        _call(
            *("run", "--detach", "--name", name, "--hostname", host, "--network", self.network),
            *(word for alias in aliases for word in ("--network-alias", alias)),
            *(word for key, value in variables.items() for word in ("--env", f"{key}={value}")),
            *_security(template, spec),
            *self._volumes(template, spec),
            *(*entry, self.images[spec["image"].partition(":")[0]], *words),
        )
        return Pod(name, template.get("terminationGracePeriodSeconds", 30))

    def _volumes(self, template: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
        volumes = {volume["name"]: volume for volume in template["volumes"]}
        for mount in spec["volumeMounts"]:
            volume, path = volumes[mount["name"]], mount["mountPath"]
            if "persistentVolumeClaim" in volume:
                yield from ("--volume", f"{self.data}:{path}")
            elif path == "/dev/shm":
                yield from ("--shm-size", volume["emptyDir"]["sizeLimit"].removesuffix("i"))
            else:
                yield from ("--tmpfs", path)


@contextmanager
def cluster(data: Path, images: Mapping[str, str]) -> Iterator[Cluster]:
    """Create a network; at the end remove it with all its containers."""
    pods = Cluster(data, images)
    _call("network", "create", pods.network)
    try:
        yield pods
    finally:
        for name in pods.names:
            with suppress(RuntimeError):
                _call("rm", "--force", "--volumes", name)
        _call("network", "rm", pods.network)


def _security(template: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    pod, container = template["securityContext"], spec["securityContext"]
    yield from ("--user", f"{pod['runAsUser']}:{pod['runAsGroup']}")
    for capability in container["capabilities"]["drop"]:
        yield from ("--cap-drop", capability)
    if container["readOnlyRootFilesystem"]:
        yield "--read-only"
    if not container["allowPrivilegeEscalation"]:
        yield from ("--security-opt", "no-new-privileges")


def _call(*words: str) -> str:
    done = subprocess.run([engine(), *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{engine()} {' '.join(words)}: {done.stderr}")
    return done.stdout.strip()
