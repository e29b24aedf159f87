"""What an object store's refusals become: words of ours, never the client's text with its requests."""

import pytest

from mamp_schemas.errors import ObjectStoreError
from mamp_schemas.io.object_store_errors import client_options, explain_error, translate_errors
from mamp_schemas.io.storage_path import ObjectUrl

URL = ObjectUrl("bucket", "key")


def answer(status: int, code: str, extra: str = "") -> Exception:
    return RuntimeError(
        f"Generic S3 error: Error performing GET http://user:password@host/bucket/key in 1ms - Server returned non-2xx "
        f"status code: {status} Some: <Error><Code>{code}</Code><Message>{extra}</Message></Error>"
    )


@pytest.mark.parametrize(
    ("problem", "what", "remedy"),
    [
        (answer(404, "NoSuchBucket"), "s3://bucket: there is no such bucket", "AWS_ENDPOINT_URL"),
        (answer(403, "AccessDenied"), "access denied (403 AccessDenied)", "AWS_ACCESS_KEY_ID"),
        (answer(403, "InvalidAccessKeyId", "AKIASECRET"), "access denied (403 InvalidAccessKeyId)", "every worker"),
        (answer(301, "PermanentRedirect"), "refuses the request (301 PermanentRedirect)", "AWS_REGION"),
        (answer(503, "SlowDown"), "overloaded (503 SlowDown)", "fewer workers"),
        (answer(500, "InternalError"), "failed (500 InternalError)", "again"),
        (RuntimeError("PUT http://169.254.169.254/latest/api/token: 403"), "no credentials", "AWS_SECRET_ACCESS_KEY"),
        (RuntimeError("Generic S3 error: Missing SecretAccessKey"), "no credentials", "AWS_SECRET_ACCESS_KEY"),
        (RuntimeError("kind: ConnectionRefused"), "cannot be reached (connection refused)", "Check the network"),
        (RuntimeError('ConnectError("dns error")'), "its host's name is not known", "AWS_ENDPOINT_URL"),
        (RuntimeError("source: TimedOut"), "does not answer in time", "Check the network"),
        (RuntimeError("HTTP error: password"), "the connection failed", "Check the network"),
        (RuntimeError("password"), "cannot be used (RuntimeError)", "AWS_"),
    ],
    ids=lambda value: None if isinstance(value, Exception) else "",
)
def test_explain_error__says_what_and_what_to_do(problem: Exception, what: str, remedy: str) -> None:
    error = explain_error(URL, problem)
    assert what in error.message
    assert remedy in error.remedy
    assert not any(secret in str(error) for secret in ("password", "AKIASECRET"))


def test_translate_errors__a_missing_object_is_a_missing_file() -> None:
    with pytest.raises(FileNotFoundError) as caught, translate_errors(URL, RuntimeError):
        raise FileNotFoundError("NoSuchKey at http://user:password@host")
    assert (caught.value.strerror, caught.value.filename) == ("No such object", "s3://bucket/key")


def test_translate_errors__a_missing_bucket_is_not() -> None:
    with pytest.raises(ObjectStoreError, match="no such bucket"), translate_errors(URL, RuntimeError):
        raise FileNotFoundError("<Code>NoSuchBucket</Code>")


def test_translate_errors__leaves_other_errors_alone() -> None:
    with pytest.raises(KeyError), translate_errors(URL, RuntimeError):
        raise KeyError("ours")


@pytest.mark.parametrize("endpoint", ["secret", "ftp://secret", "http://a secret", "http://secret:port", "http://"])
def test_client_options__an_endpoint_that_is_no_url(endpoint: str) -> None:
    with pytest.raises(ObjectStoreError, match="AWS_ENDPOINT_URL in the environment is not the URL") as caught:
        client_options({"AWS_ENDPOINT_URL": endpoint})
    assert "secret" not in str(caught.value)


def test_client_options__without_tls_only_where_the_endpoint_says_so() -> None:
    assert client_options({"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"})["allow_http"] is True
    assert client_options({"AWS_ENDPOINT_URL": "https://minio.example"})["allow_http"] is False
    assert client_options({})["allow_http"] is False


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"])
def test_client_options__a_credential_with_a_line_break(name: str) -> None:
    """The client does not raise at one: it panics."""
    with pytest.raises(ObjectStoreError, match=f"{name} in the environment contains a line break") as caught:
        client_options({name: "secret\n"})
    assert "secret" not in str(caught.value)
