"""pydantic's findings in the words of the person who writes the site file."""

from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from gateway.core.errors import ConfigError


def problems(model: type[BaseModel], error: ValidationError) -> list[ConfigError]:
    """Return one ConfigError for each finding, with the value and what is allowed."""
    return [
        ConfigError(_path(item["loc"]), _words(model, item))
        for item in error.errors(include_url=False, include_context=True)
    ]


def _path(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Leave out what pydantic adds for unions and validators, such as `function-before[...]`."""
    return tuple(key for key in loc if isinstance(key, int) or not ("[" in key or key in {"literal", "str", "int"}))


def _words(model: type[BaseModel], item: Any) -> str:
    kind, value = item["type"], item.get("input")
    if kind == "extra_forbidden":
        names = sorted(_fields_at(model, item["loc"][:-1]))
        key = str(item["loc"][-1])
        near = get_close_matches(key, names, n=1, cutoff=0.6)
        return f"unknown key; did you mean {near[0]!r}?" if near else f"unknown key; allowed are {', '.join(names)}"
    if kind == "missing":
        return "is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if isinstance(value, (dict, list, tuple)) or kind == "value_error":
        return message
    return f"{message}, not {value!r}"


def _fields_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> set[str]:
    here: type[BaseModel] | None = model
    for key in loc:
        if isinstance(key, str) and here is not None and key in here.model_fields:
            here = _model_in(here.model_fields[key].annotation)
    return set(here.model_fields) if here is not None else set()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
