"""JSON of a model that carries the digest of itself: a file that was edited or damaged is known when it is read."""

from pydantic_core import from_json

from mamp_schemas.errors import ConfigError, MampctlError
from mamp_schemas.models.base import ModelT, canonical_json, parse_model_json
from mamp_schemas.models.plain_data import check_json_memory

_DIGEST = "digest"


def dump_sealed_json(model: ModelT, *, indent: int | None = 1) -> bytes:
    """Return the JSON text of a model, with its digest as the last key."""
    text = model.model_dump_json(indent=indent)
    return f'{text.removesuffix("}").rstrip()},\n "{_DIGEST}": "{model.digest()}"\n}}\n'.encode()


def open_sealed_json(
    model: type[ModelT], text: bytes, source: str, error: type[MampctlError] = ConfigError, remedy: str = ""
) -> tuple[ModelT, bool]:
    """Read a model from JSON text that carries its digest.

    Args:
        model: the model to read.
        text: the JSON text.
        source: where the text comes from, named in errors.
        error: what to raise.
        remedy: what to do if the text is not the model's.

    Returns:
        The model, and whether it is as it was written. Check what it says before this: an error that names the fact
        that is wrong says more.

    Raises:
        MampctlError: of class `error`; the text is no JSON, or a key is unknown, missing or out of range.
    """
    try:
        check_json_memory(text)
        data = from_json(text)
    except ValueError as problem:
        raise error(f"{source}: not valid JSON ({problem})", remedy=remedy) from None
    digest = data.pop(_DIGEST, None) if isinstance(data, dict) else None
    try:
        parsed = parse_model_json(model, canonical_json(data), source, error)
    except MampctlError as problem:
        raise error(problem.message, remedy=remedy) from None
    return parsed, digest == parsed.digest()


def parse_sealed_json(
    model: type[ModelT], text: bytes, source: str, error: type[MampctlError] = ConfigError, remedy: str = ""
) -> ModelT:
    """Read a model from JSON text that carries its digest; see `open_sealed_json`.

    Raises:
        MampctlError: of class `error`; the text is not that of the model, or not as it was written.
    """
    parsed, intact = open_sealed_json(model, text, source, error, remedy)
    if not intact:
        raise edited_error(source, error, remedy)
    return parsed


def edited_error(source: str, error: type[MampctlError], remedy: str) -> MampctlError:
    """Return the error for a file that is not as it was written."""
    return error(f"{source}: does not match its digest: it was edited or damaged after it was written", remedy=remedy)
