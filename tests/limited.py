"""Run code in a process of its own, with limits on its time and memory."""

import os
import subprocess
import sys
from pathlib import Path

GIBIBYTE = 1 << 30

_LIMITED = """
import resource, sys
seconds, memory = map(int, sys.argv[1:3])
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
code = sys.argv[3]
del sys.argv[1:4]
exec(compile(code, "limited", "exec"), {"__name__": "__main__"})
"""


def run_limited(
    code: str, *arguments: str | Path, seconds: int = 60, memory: int = 4 * GIBIBYTE
) -> subprocess.CompletedProcess[str]:
    """Run Python code. Beyond the limits it gets a MemoryError, or is killed by a signal.

    Args:
        code: of a module; `sys.argv[1:]` are the arguments.
        arguments: of the code.
        seconds: of processor time; a process that waits is ended after ten times as many.
        memory: bytes of address space.
    """
    command = [sys.executable, "-c", _LIMITED, str(seconds), str(memory), code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    environment |= {"OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=10 * seconds, env=environment, check=False)
