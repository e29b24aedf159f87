"""A real S3 server, moto's, as a process of its own on a free port of this machine."""

import os
import re
import socket
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mamp_schemas.io.storage_path import ObjectUrl
from tests.waiting import HANG_SECONDS, wait_until

if TYPE_CHECKING:
    from obstore.store import S3Store

KEY_ID, SECRET = "AKIATESTEXAMPLE", "secret-that-no-log-may-hold"


@dataclass(frozen=True)
class Server:
    """A running server: its endpoint, and what it wrote of the requests it got."""

    endpoint: str
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to use it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def make_bucket(self) -> "Bucket":
        """Make a bucket of a new name."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.send("PUT", f"/{name}")
        return Bucket(self, ObjectUrl(name, ""))

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let nobody in: the server then knows no key, and says so as S3 does."""
        self.send("POST", "/moto-api/reset-auth", b"0")
        try:
            yield
        finally:
            self.send("POST", "/moto-api/reset-auth", b"inf")

    def requests(self) -> list[str]:
        """Return the request lines so far, without the colours: `GET /bucket/key HTTP/1.1`."""
        plain = re.sub(r"\x1b\[\d+m", "", self.log.read_text())
        return [line.split('"')[1] for line in plain.splitlines() if line.count('"') == 2]

    def send(self, method: str, path: str, data: bytes | None = None) -> None:
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(self.endpoint + path, data=data, method=method, headers=headers)
        urllib.request.urlopen(request, timeout=HANG_SECONDS).close()


@dataclass(frozen=True)
class Bucket:
    """A bucket of a server."""

    server: Server
    url: ObjectUrl

    def put(self, key: str, data: bytes | Path) -> ObjectUrl:
        """Put an object."""
        self._client().put(key, data)
        return self.url / key

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self._client().get(key).bytes())

    def remove(self, key: str) -> None:
        """Remove an object."""
        self._client().delete(key)

    def names(self) -> list[str]:
        """Return the names of all objects."""
        return sorted(meta["path"] for page in self._client().list() for meta in page)

    def _client(self) -> "S3Store":
        from obstore.store import S3Store

        return S3Store(
            self.url.bucket,
            endpoint=self.server.endpoint,
            region="us-east-1",
            access_key_id=KEY_ID,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
        )


@contextmanager
def run_server(folder: Path) -> Iterator[Server]:
    """Run a server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", folder / "requests.log")
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", str(port)],
            stdout=log,
            stderr=log,
            env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "inf", "NO_COLOR": "1"},
        )
        try:
            _wait(server, process)
            yield server
        finally:
            process.kill()
            process.wait()


def _wait(server: Server, process: "subprocess.Popen[bytes]") -> None:
    def answers() -> bool:
        with suppress(OSError):
            server.send("GET", "/moto-api/data.json")
            return True
        return False

    wait_until(lambda: answers() or process.poll() is not None, server.log.read_text)
    assert process.poll() is None, server.log.read_text()
