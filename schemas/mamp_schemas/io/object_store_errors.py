"""Client settings for object stores, and the translation of their failures into errors with a remedy."""

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mamp_schemas.errors import MissingExtraError, ObjectStoreError
from mamp_schemas.io.storage_path import ObjectUrl

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig


RETRY_CONFIG: "RetryConfig" = {
    "max_retries": 8,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 3},
}
"""An overloaded store is asked again for half a minute; one that nobody can reach is given up by then."""

_CLIENT_CONFIG: "ClientConfig" = {"connect_timeout": "5s", "read_timeout": "30s", "timeout": "3min"}
"""The whole of a request may take long: a shard has 20 MB, the directory of an archive 6 MB."""

_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")

_HEADER_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)

_CONNECTION_FAILURES = {
    "ConnectionRefused": "connection refused",
    "dns error": "its host's name is not known",
    "TimedOut": "it does not answer in time",
    "certificate": "its certificate is not trusted",
    "HTTP error": "the connection failed",
}
"""What the client's text of a failed connection has in it, the closest first."""

_CREDENTIALS_REMEDY = (
    "Credentials come from the environment of each process: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role's "
    "(docs/scaling.md); of every worker with --scheduler."
)
_ERROR_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_HOST_NAME = re.compile(r"[A-Za-z0-9._:-]+")
_STATUS_CODE = re.compile(r"status code: (\d{3})")


def client_options(environment: Mapping[str, str]) -> "ClientConfig":
    """Return the HTTP client's settings: without TLS only where the endpoint's URL itself says http://.

    Raises:
        ObjectStoreError: an endpoint is no URL, or a credential has a line break in it, as a secret that was made by
            `echo`: the client would end the process. Neither is repeated in the message.
    """
    for name in _HEADER_VARIABLES:
        if not environment.get(name, "").isprintable():
            raise ObjectStoreError(
                f"{name} in the environment has a line break or another control character in it",
                remedy="Often a file's last line break: take it off where the variable is set.",
            )
    endpoints = {name: environment[name] for name in _ENDPOINT_VARIABLES if environment.get(name)}
    for name, value in endpoints.items():
        if not _is_endpoint(value):
            raise ObjectStoreError(
                f"{name} in the environment is no URL of an endpoint", remedy="Say, https://HOST or http://HOST:PORT."
            )
    return {**_CLIENT_CONFIG, "allow_http": any(value.startswith("http://") for value in endpoints.values())}


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https") and bool(_HOST_NAME.fullmatch(parts.hostname or "")) and parts.port != 0
        )
    except ValueError:  # the port is no number
        return False


def missing_obstore_error(url: ObjectUrl) -> MissingExtraError:
    """Return the error of an installation that cannot read object stores."""
    return MissingExtraError(
        f"{url}: object stores need the package obstore, which is not installed",
        remedy="Install it with: pip install 'mampctl[s3]'; on every worker as well.",
    )


@contextmanager
def translate_errors(url: ObjectUrl, client_error: type[Exception]) -> Iterator[None]:
    """Turn an object store's refusals into errors of ours.

    Args:
        url: what is being used.
        client_error: the base of the client's errors.

    Raises:
        FileNotFoundError: there is no object of that name.
        ObjectStoreError: anything else; never with the client's own text, which quotes the requests.
    """
    try:
        yield
    except FileNotFoundError as problem:
        if "NoSuchBucket" in str(problem):
            raise explain_error(url, problem) from None
        raise FileNotFoundError(errno.ENOENT, "No such object", str(url)) from None
    except client_error as problem:
        raise explain_error(url, problem) from None


def explain_error(url: ObjectUrl, error: Exception) -> ObjectStoreError:
    """Say what an object store's refusal means, and what to do."""
    text = str(error)
    status, code = _STATUS_CODE.search(text), _ERROR_CODE.search(text)
    answer = " ".join(found[1] for found in (status, code) if found)
    number = int(status[1]) if status else 0
    if "NoSuchBucket" in text:
        return ObjectStoreError(
            f"s3://{url.bucket}: there is no such bucket",
            remedy="Check its name, and the endpoint in AWS_ENDPOINT_URL.",
        )
    if _lacks_credentials(text):
        return ObjectStoreError(f"{url}: this process has no credentials for it", remedy=_CREDENTIALS_REMEDY)
    if number in (401, 403):
        return ObjectStoreError(f"{url}: access denied ({answer})", remedy=_CREDENTIALS_REMEDY)
    if number in (301, 307, 400):
        return ObjectStoreError(
            f"{url}: the object store refuses the request ({answer})",
            remedy="Often the bucket is in another region: set AWS_REGION. Check AWS_ENDPOINT_URL as well.",
        )
    if number in (429, 503):
        return ObjectStoreError(
            f"{url}: the object store is overloaded ({answer}), after several tries",
            remedy="Run the same command again later, or with fewer workers.",
        )
    if number:
        return ObjectStoreError(f"{url}: the object store failed ({answer})", remedy="Run the same command again.")
    reason = next((reason for sign, reason in _CONNECTION_FAILURES.items() if sign in text), "")
    if reason:
        return ObjectStoreError(
            f"{url}: the object store cannot be reached ({reason})",
            remedy="Check the network, and AWS_ENDPOINT_URL in the environment of this process and of every worker.",
        )
    return ObjectStoreError(
        f"{url}: the object store cannot be used ({type(error).__name__})",
        remedy="Check the AWS_... variables in the environment, and that no object there has an empty part in its "
        "name, such as a//b.",
    )


def _lacks_credentials(text: str) -> bool:
    """Whether none were found: the client then asks the machine it runs on for those of its role."""
    signs = ("/latest/api/token", "/latest/meta-data", "Missing AccessKeyId", "Missing SecretAccessKey")
    return any(sign in text for sign in signs)
