"""The base class of all models: frozen, strict, no unknown keys; its digest; models read from JSON or YAML text."""

import difflib
import hashlib
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from mamp_schemas.errors import ConfigError, MampctlError, is_nul
from mamp_schemas.models.plain_data import MAX_YAML_CHARACTERS, PlainDataError, load_json, load_yaml

ModelT = TypeVar("ModelT", bound="Model")

_MAX_LISTED = 20
"""Mistakes of one text that a message lists."""

MAX_NAME = 100
"""The longest name, in bytes of UTF-8: with what is put around it, it must fit the 255 of a file's name."""


def _check_name(name: str) -> str:
    """Return a name that can be part of a file's name anywhere: no path, not hidden, nothing that a terminal obeys."""
    if not name or not (name[0].isalnum() or name[0] == "_"):
        raise ValueError("a name begins with a letter or digit")
    odd = next((character for character in name if not (character.isalnum() or character in " ._-+")), None)
    if odd is not None:
        raise ValueError(f"a name has letters, digits, blanks and any of . _ - +, not {odd!r}")
    if name[-1] in " .":
        raise ValueError("a name does not end with a blank or dot")
    if len(name.encode()) > MAX_NAME:
        raise ValueError(f"a name has at most {MAX_NAME} bytes, this one {len(name.encode()):,}")
    return name


def _check_line(text: str) -> str:
    odd = next((character for character in text if not character.isprintable()), None)
    if odd is not None:
        raise ValueError(f"a single line of text without control characters is expected, not {odd!r} in it")
    return text


Name = Annotated[str, AfterValidator(_check_name)]
"""A name that users give and that becomes part of file names."""

Line = Annotated[str, Field(max_length=1000), AfterValidator(_check_line)]
"""A line of text that is shown, and is no part of file names."""


class Model(BaseModel):
    """A frozen, strict model that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    def digest(self) -> str:
        """Return the sha256 (64 hex digits) of the model's canonical JSON (`facts`)."""
        return hashlib.sha256(canonical_json(self.canonical_data())).hexdigest()

    def canonical_data(self) -> dict[str, Any]:
        """Return plain data of what the model says, for hashes.

        Fields that are None say nothing: one that comes up later leaves the hashes of what lacks it as they are.
        """
        return self.model_dump(mode="json", exclude_none=True)

    def replaced(self, **changes: Any) -> Self:
        """Return a validated copy with some fields changed.

        Raises:
            pydantic.ValidationError: a changed field does not fit.
        """
        return type(self).model_validate({**self.__dict__, **changes})


def digest_dumped(data: object) -> str:
    """Return the digest that a model has which was dumped to `data`, whatever fields the model has by now."""
    return hashlib.sha256(canonical_json(_without_none(data))).hexdigest()


def canonical_json(value: object) -> bytes:
    """Return JSON bytes of plain data with sorted keys, the same for equal values."""
    return to_json(_sort_keys(value))


def _without_none(value: object) -> object:
    """Return plain data without the keys whose value is None."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


def _sort_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sort_keys(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_sort_keys(item) for item in value]
    return value


def parse_model_json(
    model: type[ModelT], text: str | bytes, source: str, error: type[MampctlError] = ConfigError
) -> ModelT:
    """Read a model from JSON text.

    Args:
        model: the model to read.
        text: the JSON text.
        source: where the text comes from, named in errors.
        error: what to raise.

    Raises:
        MampctlError: of class `error`; names every key that is unknown, missing or out of range.
    """
    try:
        data = load_json(text)
    except PlainDataError as problem:
        if is_nul(text.encode(errors="replace") if isinstance(text, str) else text):
            raise error(
                f"{source}: the file is full of NUL bytes", remedy="Restore the file or make it again."
            ) from None
        raise error(f"{source}: not valid JSON ({problem})", remedy="Restore the file or make it again.") from None
    try:
        return model.model_validate_json(text)
    except ValidationError as problem:
        raise error(
            format_validation_error(problem, source, data, model), remedy="Correct the keys named above."
        ) from None


def parse_model_data(model: type[ModelT], data: object, source: str) -> ModelT:
    """Read a model from plain data, as parsed from YAML: like `read_json`, so lists may stand for tuples."""
    try:
        text = to_json(data)
    except ValueError as problem:  # text that is not Unicode, such as a byte of the command line that is not UTF-8
        raise ConfigError(f"{source}: {problem}", remedy="Write it in UTF-8, without nesting too deep.") from None
    return parse_model_json(model, text, source)


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """Parse YAML text to a mapping.

    Raises:
        ConfigError: the text is not YAML, or its top level is not a mapping.
    """
    data = parse_yaml_value(text, source)
    if not isinstance(data, dict):
        raise ConfigError(
            f"{source}: expected a mapping of keys, got {type(data).__name__}", remedy="Correct the file."
        )
    return data


def parse_yaml_value(text: str, source: str) -> Any:
    """Parse YAML text to plain data of any kind.

    Raises:
        ConfigError: the text is not YAML, or says what is no plain data (see `load_yaml`); names the line.
    """
    if is_nul(text[:MAX_YAML_CHARACTERS].encode(errors="replace")):
        raise ConfigError(f"{source}: the file is full of NUL bytes: a damaged download", remedy="Fetch it again.")
    try:
        return load_yaml(text)
    except PlainDataError as problem:
        raise ConfigError(f"{source}: not valid YAML: {problem}", remedy="Correct the file.") from None


def format_validation_error(
    error: ValidationError, source: str, data: object, model: type[BaseModel] | None = None
) -> str:
    """Put a validation error into lines such as `unknown key: a.b`.

    Args:
        error: the error.
        source: where the data comes from.
        data: what did not validate.
        model: its keys are suggested for unknown ones.
    """
    lines = [f"{source}:"]
    entries = error.errors()
    for entry in entries[:_MAX_LISTED]:
        key = shorten(_dotted_key(entry["loc"], data))
        if entry["type"] == "extra_forbidden":
            lines.append(f"  unknown key: {key}{_suggest_key(entry['loc'], model)}")
        elif entry["type"] == "missing":
            lines.append(f"  missing key: {key}")
        elif entry["type"] == "union_tag_not_found":
            lines.append(f"  missing key: {key}.{entry['ctx']['discriminator'].strip(chr(39))}")
        else:
            # A whole mapping says nothing that the message does not.
            got = "" if isinstance(entry["input"], dict) else f" (got {shorten(repr(entry['input']))})"
            lines.append(f"  {key}: {entry['msg'].removeprefix('Value error, ')}{got}")
    if len(entries) > _MAX_LISTED:
        lines.append(f"  and {len(entries) - _MAX_LISTED:,} more")
    return "\n".join(lines)


def shorten(text: str, length: int = 200) -> str:
    """Return a text of outside for a message: cut where it is longer than `length` characters."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text):,} characters)"


def _suggest_key(location: tuple[int | str, ...], model: type[BaseModel] | None) -> str:
    """Return a hint at the model's key nearest to an unknown one; empty where none is near."""
    *outer, key = location
    for part in outer:
        field = model.model_fields.get(str(part)) if model else None
        annotation = field.annotation if field else None
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    near = difflib.get_close_matches(str(key), model.model_fields, n=1) if model else []
    return f". Did you mean '{near[0]}'?" if near else ""


def _dotted_key(location: tuple[int | str, ...], data: object) -> str:
    """Return the dotted key of an error's location, without the tags of unions, which are in no file."""
    parts: list[str] = []
    for depth, key in enumerate(location):
        inside = (isinstance(data, dict) and key in data) or (
            isinstance(data, list) and isinstance(key, int) and key < len(data)
        )
        if inside:
            data = data[key]  # type: ignore[index]
        if inside or depth == len(location) - 1:
            parts.append(str(key))
    return ".".join(parts) or "(top level)"
