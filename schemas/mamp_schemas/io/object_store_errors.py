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
"""An overloaded store is asked again for up to half a minute. An unreachable one fails within that time."""

_CLIENT_CONFIG: "ClientConfig" = {"connect_timeout": "5s", "read_timeout": "30s", "timeout": "3min"}
"""A whole request may take long: a shard has 20 MB, the directory of an archive 6 MB."""

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
"""Reasons of a failed connection by a word in the client's message, the most specific first."""

_CREDENTIALS_REMEDY = (
    "Credentials come from the environment of each process: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role's "
    "(docs/scaling.md); of every worker with --scheduler."
)
_ERROR_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_HOST_NAME = re.compile(r"[A-Za-z0-9._:-]+")
_STATUS_CODE = re.compile(r"status code: (\d{3})")


def client_options(environment: Mapping[str, str]) -> "ClientConfig":
    """Return the HTTP client's settings. TLS is off only if the endpoint's URL says http://.

    Raises:
        ObjectStoreError: an endpoint is not a URL, or a credential contains a line break (a secret written with
            `echo`), at which the client would end the process. The message repeats neither.
    """
    for name in _HEADER_VARIABLES:
        if not environment.get(name, "").isprintable():
            raise ObjectStoreError(
                f"{name} in the environment contains a line break or another control character",
                remedy="It is often the last line break of a file: remove it where the variable is set.",
            )
    endpoints = {name: environment[name] for name in _ENDPOINT_VARIABLES if environment.get(name)}
    for name, value in endpoints.items():
        if not _is_endpoint(value):
            raise ObjectStoreError(
                f"{name} in the environment is not the URL of an endpoint",
                remedy="Set it to https://HOST or http://HOST:PORT.",
            )
    return {**_CLIENT_CONFIG, "allow_http": any(value.startswith("http://") for value in endpoints.values())}


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https") and bool(_HOST_NAME.fullmatch(parts.hostname or "")) and parts.port != 0
        )
    except ValueError:  # the port is not a number
        return False


def missing_obstore_error(url: ObjectUrl) -> MissingExtraError:
    """Return the error for an installation without obstore."""
    return MissingExtraError(
        f"{url}: object stores need the package obstore, which is not installed",
        remedy="Install it with: pip install 'mampctl[s3]'; on every worker as well.",
    )


@contextmanager
def translate_errors(url: ObjectUrl, client_error: type[Exception]) -> Iterator[None]:
    """Turn the errors of an object store's client into ours.

    Args:
        url: what is being read or written.
        client_error: the base class of the client's errors.

    Raises:
        FileNotFoundError: there is no such object.
        ObjectStoreError: anything else. It never quotes the client's message, which contains whole requests.
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
    """Return the error that explains what an object store refused, with a remedy."""
    text = str(error)
    status, code = _STATUS_CODE.search(text), _ERROR_CODE.search(text)
    answer = " ".join(match[1] for match in (status, code) if match)
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
    """Return whether the client found no credentials: it then asks the machine for those of a role."""
    signs = ("/latest/api/token", "/latest/meta-data", "Missing AccessKeyId", "Missing SecretAccessKey")
    return any(sign in text for sign in signs)
