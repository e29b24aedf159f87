"""Two ingests never write into one store at a time, and a killed one does not keep it locked."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mamp_schemas.errors import OutputError, StoreExistsError
from mamp_schemas.io.locks import exclusive_lock, lock_output

HOLD = """
import signal, sys
from pathlib import Path
from mamp_schemas.io.locks import lock_output
with lock_output(Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""


def test_lock_output__second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(
                StoreExistsError, match=rf"another mampctl command is writing there \(process {holder.pid} on "
            ),
            lock_output(out),
        ):
            pass
        holder.kill()
    with lock_output(out):
        pass
    assert list(tmp_path.iterdir()) == []


def test_lock_output__a_holder_that_is_no_text(tmp_path: Path) -> None:
    with lock_output(tmp_path / "store.zarr"):
        (tmp_path / ".store.zarr.lock").write_bytes(b"\xff\xfe")
        with pytest.raises(StoreExistsError, match="another mampctl command"), lock_output(tmp_path / "store.zarr"):
            pass


def test_lock_output__leaves_nothing(tmp_path: Path) -> None:
    with lock_output(tmp_path / "new" / "s.zarr"):
        assert [path.name for path in (tmp_path / "new").iterdir()] == [".s.zarr.lock"]
    assert list((tmp_path / "new").iterdir()) == []


def test_lock_output__a_forbidden_folder_is_named_not_the_file_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError) as caught, lock_output(tmp_path / "s.zarr"):
        pass
    assert caught.value.filename == str(tmp_path)


def test_lock_output__a_name_too_long_for_what_is_beside_it(tmp_path: Path) -> None:
    with lock_output(tmp_path / ("a" * 200)):
        pass
    reason = "the name has 201 bytes, that of a store at most 200"
    with pytest.raises(OutputError, match=reason), lock_output(tmp_path / ("a" * 201)):
        pass


def test_exclusive_lock__a_file_system_that_cannot_lock_is_an_error_only_if_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with exclusive_lock(tmp_path / ".lock", OutputError, required=False):
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="No locks available"), exclusive_lock(tmp_path / ".lock", OutputError):
        pass
