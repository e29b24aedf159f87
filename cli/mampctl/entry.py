"""Where the command begins and ends: interrupted before there is anything to stop, it ends without a word."""

import os
import sys
from collections.abc import Mapping

from mampctl.json_lines import only_json_lines

EXIT_INTERRUPTED = 130


def main() -> None:
    """Import and run the command line."""
    only_json_lines()
    try:
        from mampctl.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except SystemExit as end:
        if is_one_of_many(os.environ) and isinstance(end.code, int):
            _end_at_once(end.code)
        raise


def is_one_of_many(environment: Mapping[str, str]) -> bool:
    """Return whether torchrun, `--devices` or srun started this process as one of several."""
    counts = (environment.get(name, "1") for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"))
    return any(count.isdigit() and int(count) > 1 for count in counts)


def is_first(environment: Mapping[str, str]) -> bool:
    """Return whether this process speaks for all, where it is one of several."""
    return {environment.get(name, "0") for name in ("RANK", "SLURM_PROCID")} == {"0"}


def _end_at_once(code: int) -> None:
    """End without taking Python down: threads of torch.distributed that outlive it abort the process, now and then.

    All is written by now; a rank that had done its work would count as failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
