"""Checks of the machine and its environment variables: cores, memory, disk, GPUs, compilers, credentials."""

import os
import platform
import re
import shutil
from collections.abc import Collection, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from mamp_schemas.system import CGROUP_ROOT, ThreadChoice, choose_threads, count_cores, cpu_quota, free_host_memory
from mampctl.doctor import Finding

GIB = 2**30
LOW_MEMORY, LOW_DISK = 2 * GIB, 10 * GIB
"""Less than this gives a warning. NTU RGB+D 120 takes 7.6 GB of disk, 67 kB a clip."""


def check_machine(folder: Path) -> list[Finding]:
    """Check the machine; `folder` is the data folder, which need not exist."""
    return [
        check_cores(),
        check_threads(choose_threads()),
        check_memory(free_host_memory()),
        check_disk(folder),
        *check_torch(),
        check_cpp(),
        *check_numba(),
    ]


def check_cores(cgroup: Path = CGROUP_ROOT) -> Finding:
    """Report how many cores this process may use, by its affinity and by the CPU quota of its container."""
    present, quota = os.cpu_count() or 1, cpu_quota(cgroup)
    limit = f", a container's limit leaves {quota:g}" if quota is not None and quota < present else ""
    return Finding("ok", "cores", f"{count_cores(cgroup)} usable of {present} ({platform.machine()}){limit}")


def check_threads(choice: ThreadChoice) -> Finding:
    """Report by how many threads a training would compute here now, and why."""
    return Finding("ok", "threads", f"a training would take {choice.threads} now: {choice.reason}")


_USE_OTHER_FOLDER = "Set MAMPCTL_DATA to a folder you may write to."


def check_memory(free: int) -> Finding:
    """Report the free memory, in bytes, with a warning if it is low."""
    text = f"{free / GIB:.1f} GiB free"
    if free >= LOW_MEMORY:
        return Finding("ok", "memory", text)
    return Finding("warning", "memory", text, "Close other programs, or use smaller batches: --set batch_size=16")


def check_disk(folder: Path) -> Finding:
    """Report the free space for the data folder, on the disk where it is or would be made."""
    existing = next((path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir()), Path("/"))
    try:
        free = shutil.disk_usage(existing).free
    except OSError as problem:
        return Finding("problem", "disk", f"{existing}: {problem.strerror}", _USE_OTHER_FOLDER)
    text = f"{free / GIB:.1f} GiB free in {existing}"
    if not os.access(existing, os.W_OK):
        return Finding("problem", "disk", f"{existing} may not be written to", _USE_OTHER_FOLDER)
    if free < LOW_DISK:
        return Finding("warning", "disk", text, "Free some space, or set MAMPCTL_DATA to a larger disk.")
    return Finding("ok", "disk", text)


def check_torch() -> list[Finding]:
    """Report PyTorch's build and every GPU it sees."""
    torch, findings = _try_import("torch", "pip install --upgrade 'mampctl[trainer]'")
    if torch is None:
        return findings
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "for the CPU"
    gpus = [check_gpu(torch, index) for index in range(torch.cuda.device_count())]
    return [Finding("ok", "torch", f"{torch.__version__}, {build}"), *(gpus or [check_no_gpu()])]


def check_gpu(torch: ModuleType, index: int) -> Finding:
    """Report a GPU's name, memory, compute capability, and whether it computes in bfloat16."""
    try:
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
    except RuntimeError as problem:
        reason = str(problem).partition("\n")[0]
        return Finding("problem", f"cuda:{index}", reason, "Choose another with --device, or --device cpu.")
    bf16 = "bf16" if properties.major >= 8 else "no bf16"
    memory = f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"
    text = f"{properties.name}, {memory}, capability {properties.major}.{properties.minor}, {bf16}"
    return Finding("ok", f"cuda:{index}", text)


def check_no_gpu(driver: Path = Path("/proc/driver/nvidia")) -> Finding:
    """Report that trainings run on the CPU; a warning if the machine has a GPU that PyTorch does not see."""
    if driver.exists() or shutil.which("nvidia-smi"):
        remedy = "Install the CUDA build of PyTorch for its driver: see https://pytorch.org/get-started/locally"
        return Finding("warning", "devices", "an NVIDIA driver is here, but PyTorch sees no GPU", remedy)
    return Finding("ok", "devices", "no GPU: trainings run on the CPU")


def check_cpp() -> Finding:
    """Report whether the compiler that `compile: true` needs is there; trainings run without it, too."""
    compiler = next((path for name in ("g++", "clang++", "c++") if (path := shutil.which(name))), None)
    triton = "Triton for GPUs" if _is_installed("triton") else "no Triton, which GPUs need"
    if compiler:
        return Finding("ok", "compile", f"{compiler}, {triton}")
    return Finding("warning", "compile", "no C++ compiler: compile=true cannot be used", "apt install g++")


def check_numba() -> list[Finding]:
    """Report whether Numba, which compiles the readers, can be imported: it needs a NumPy version it knows."""
    numba, findings = _try_import("numba", "pip install --upgrade 'mampctl[pipeline]'")
    if numba is None:
        return findings
    return [Finding("ok", "numba", f"{numba.__version__} compiles for this machine by itself")]


def _try_import(name: str, remedy: str) -> tuple[ModuleType | None, list[Finding]]:
    """Return a package, or a finding why it cannot be imported; `check_extra` reports missing packages."""
    try:
        return import_module(name), []
    except ModuleNotFoundError as problem:
        if problem.name == name:
            return None, []
        reason = str(problem)
    except (ImportError, OSError) as problem:
        reason = str(problem).partition("\n")[0]
    return None, [Finding("problem", name, f"is installed and cannot be imported: {reason}", remedy)]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):
        return False


CREDENTIAL_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


_URL_PASSWORD = re.compile(r"//[^/@\s]*@")
"""User and password of a URL, which no finding shows."""


def _is_mampctl_variable(name: str) -> bool:
    return name.startswith("MAMPCTL_")


def check_environment(unknown: Collection[str], environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Report the variables that set options; of credentials only whether they are set, never their values.

    Args:
        unknown: variables named like ours that set no option; their values are not shown.
        environment: all variables.
    """
    known = {
        name: value for name, value in sorted(environment.items()) if _is_mampctl_variable(name) and name not in unknown
    }
    shown = [f"{name}={_URL_PASSWORD.sub('//…@', value)}" for name, value in known.items()]
    credentials = [name for name in CREDENTIAL_VARIABLES if environment.get(name)]
    if len(credentials) == 1:
        remedy = f"Set {' and '.join(CREDENTIAL_VARIABLES)} both, or neither."
        buckets = Finding("warning", "buckets", f"only {credentials[0]} is set", remedy)
    else:
        endpoint = ", AWS_ENDPOINT_URL too" if environment.get("AWS_ENDPOINT_URL") else ""
        text = f"credentials are set{endpoint}" if credentials else "no credentials in AWS_...: s3:// needs them"
        buckets = Finding("ok", "buckets", text)
    return [Finding("ok", "variables", ", ".join(shown) or "no MAMPCTL_... is set"), buckets]
