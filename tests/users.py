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
needs_refusal = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root is refused nothing, and setpriv is missing"
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


def as_owner() -> tuple[str, ...]:
    """Return what to put in front of a command line for it to be refused what its user may not read or write.

    The user is the owner of this checkout, who can import the code wherever it is. Root loses the right to pass over
    permissions, and is then refused a file without any, as everybody is.
    """
    if os.geteuid() != 0:
        return ()
    owner = Path(__file__).stat()
    taken = ("--inh-caps", "-all", "--bounding-set", "-dac_override,-dac_read_search")
    return ("setpriv", "--reuid", str(owner.st_uid), "--regid", str(owner.st_gid), "--clear-groups", *taken)


def give_to_owner(folder: Path) -> None:
    """Give a folder and all in it to the user of `as_owner`."""
    if os.geteuid() == 0:
        owner = Path(__file__).stat()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)


def own_folder(folder: Path, user: int) -> Path:
    """Make a folder of a user's own."""
    folder.mkdir()
    os.chown(folder, user, GROUP)
    folder.chmod(0o700)
    return folder
