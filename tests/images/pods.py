"""Pods of the Kubernetes files as containers of docker or podman, on a network of their own: no kubelet, but all that
a container is told by its template is read from the file."""

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
    """Return one of a file's documents; all of a pod template's values are below its spec.template.spec."""
    found = yaml.safe_load_all((MANIFESTS / name).read_text())
    (chosen,) = (each for each in found if (each["kind"], each["metadata"]["name"]) == (kind, f"mampctl-{component}"))
    return dict(chosen)


@dataclass(frozen=True)
class Pod:
    """A container that runs; `seconds` is what it is given between SIGTERM and SIGKILL."""

    name: str
    seconds: int

    def wait(self) -> int:
        """Return its exit code, once it has ended."""
        return int(_call("wait", self.name))

    def running(self) -> bool:
        return _call("inspect", "--format", "{{.State.Running}}", self.name) == "true"

    def terminate(self) -> None:
        """End it as a kubelet does."""
        _call("stop", "--time", str(self.seconds), self.name)

    def run(self, *command: str) -> str:
        """Run a command beside its own, and return what it printed."""
        return _call("exec", self.name, *command)

    def logs(self) -> str:
        done = subprocess.run([engine(), "logs", self.name], capture_output=True, text=True)
        return done.stdout + done.stderr


@dataclass
class Cluster:
    """A network, a folder in the place of the claim, and the containers."""

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
            container: its name in the template, an init container's as well.
            index: which pod of an indexed Job.
            arguments: in place of its `args`.
            environment: in place of values in its `env`, and more.
            alias: a Service's name that leads to it.
        """
        template = owner["spec"]["template"]["spec"]
        every = [*template["containers"], *template.get("initContainers", [])]
        (spec,) = (each for each in every if each["name"] == container)
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
    """Make a network; at the end remove it and all containers in it."""
    found = Cluster(data, images)
    _call("network", "create", found.network)
    try:
        yield found
    finally:
        for name in found.names:
            with suppress(RuntimeError):
                _call("rm", "--force", "--volumes", name)
        _call("network", "rm", found.network)


def _security(template: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    pod, own = template["securityContext"], spec["securityContext"]
    yield from ("--user", f"{pod['runAsUser']}:{pod['runAsGroup']}")
    for capability in own["capabilities"]["drop"]:
        yield from ("--cap-drop", capability)
    if own["readOnlyRootFilesystem"]:
        yield "--read-only"
    if not own["allowPrivilegeEscalation"]:
        yield from ("--security-opt", "no-new-privileges")


def _call(*words: str) -> str:
    done = subprocess.run([engine(), *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{engine()} {' '.join(words)}: {done.stderr}")
    return done.stdout.strip()
