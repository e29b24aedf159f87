"""The base class of all models: frozen, strict, no unknown keys; its digest; models read from JSON or YAML text."""

import difflib
import hashlib
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json, to_json

from mamp_schemas.errors import ConfigError, MampctlError

ModelT = TypeVar("ModelT", bound="Model")


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
        data = from_json(text)
    except ValueError as problem:
        raise error(f"{source}: not valid JSON ({problem})", remedy="Restore the file or make it again.") from None
    try:
        return model.model_validate_json(text)
    except ValidationError as problem:
        raise error(
            format_validation_error(problem, source, data, model), remedy="Correct the keys named above."
        ) from None


def parse_model_data(model: type[ModelT], data: object, source: str) -> ModelT:
    """Read a model from plain data, as parsed from YAML: like `read_json`, so lists may stand for tuples."""
    return parse_model_json(model, to_json(data), source)


class _NoAliasLoader(yaml.SafeLoader):
    """Reads plain YAML; aliases are refused, nine of which can stand for a thousand million values."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose the next node."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not taken", problem_mark=mark)
        return super().compose_node(parent, index)


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """Parse YAML text to a mapping.

    Raises:
        ConfigError: the text is not YAML, or its top level is not a mapping.
    """
    try:
        data = _NoAliasLoader(text).get_single_data()
    except yaml.YAMLError as problem:
        raise ConfigError(f"{source}: not valid YAML: {problem}", remedy="Correct the file.") from None
    if not isinstance(data, dict):
        raise ConfigError(
            f"{source}: expected a mapping of keys, got {type(data).__name__}", remedy="Correct the file."
        )
    return data


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
    for entry in error.errors():
        key = _dotted_key(entry["loc"], data)
        if entry["type"] == "extra_forbidden":
            lines.append(f"  unknown key: {key}{_suggest_key(entry['loc'], model)}")
        elif entry["type"] == "missing":
            lines.append(f"  missing key: {key}")
        elif entry["type"] == "union_tag_not_found":
            lines.append(f"  missing key: {key}.{entry['ctx']['discriminator'].strip(chr(39))}")
        else:
            # A whole mapping says nothing that the message does not.
            got = "" if isinstance(entry["input"], dict) else f" (got {entry['input']!r})"
            lines.append(f"  {key}: {entry['msg']}{got}")
    return "\n".join(lines)


def _suggest_key(location: tuple[int | str, ...], model: type[BaseModel] | None) -> str:
    """Return a hint at the model's key nearest to an unknown one; empty where none is near."""
    *outer, key = location
    for part in outer:
        field = model.model_fields.get(str(part)) if model else None
        annotation = field.annotation if field else None
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    near = difflib.get_close_matches(str(key), model.model_fields, n=1) if model else []
    return f"; did you mean '{near[0]}'?" if near else ""


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
