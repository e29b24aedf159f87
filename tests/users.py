"""Processes of other users: with a number and no name, as container platforms start them."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

GROUP = 12_000
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root may start processes of other users"
)


def as_user(user: int) -> tuple[str, ...]:
    """Return what to put in front of a command line for it to run as a user of a number and of the tests' group.

    The user may read everything, for the interpreter may stand in a folder of root's; it writes what it may write.
    """
    reading = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    return ("setpriv", "--reuid", str(user), "--regid", str(GROUP), "--clear-groups", *reading)


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Make a folder that all of the group may write to, and whose content is the group's."""
    with tempfile.TemporaryDirectory(prefix="mampctl-shared-") as name:
        folder = Path(name)
        os.chown(folder, 0, GROUP)
        folder.chmod(stat.S_ISGID | 0o775)
        yield folder


def own_folder(folder: Path, user: int) -> Path:
    """Make a folder of a user's own."""
    folder.mkdir()
    os.chown(folder, user, GROUP)
    folder.chmod(0o700)
    return folder
