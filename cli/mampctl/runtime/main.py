"""Console entry point. Ctrl-C during start-up exits quietly with code 130."""

import os
import sys
from collections.abc import Mapping

from mamp_schemas.errors import ExitCode
from mamp_schemas.system import let_threads_sleep
from mampctl.output.console import allow_any_path
from mampctl.output.log import install_json_log


def main() -> None:
    """Import and run the command line."""
    install_json_log()
    allow_any_path()
    let_threads_sleep()
    try:
        from mampctl.runtime.app import run_app as run

        run()
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except SystemExit as end:
        if is_distributed(os.environ) and isinstance(end.code, int):
            _exit_immediately(end.code)
        raise


def is_distributed(environment: Mapping[str, str]) -> bool:
    """Return whether torchrun, `--devices` or srun started this process as one of several."""
    counts = (environment.get(name, "1") for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"))
    return any(count.isascii() and count.isdigit() and count.lstrip("0") not in ("", "1") for count in counts)


def _exit_immediately(code: int) -> None:
    """Exit without Python's shutdown, in which threads of torch.distributed sometimes abort the process.

    Everything is written by now, and a rank that has done its work must not count as failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
