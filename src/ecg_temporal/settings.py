"""Typed settings: how a section of params.yaml becomes a checked object, and what a refusal says."""

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError


class Settings(BaseModel):
    """Base of every section's settings: unknown keys and wrong types are refused, nothing changes later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Settings)


class ParamsError(ValueError):
    """params.yaml can't be used as it is; the message names the key, the value and what is allowed."""


TAG = "tag:yaml.org,2002:"


class CoreLoader(yaml.SafeLoader):
    """YAML 1.2, as DVC reads it: 4e-3 is a number, and yes, 1:30 and 2026-11-25 are text; no key comes twice.

    PyYAML reads YAML 1.1 by itself. A number that starts with 0, which is octal in one version and not in the
    other, is text here, so that the setting refuses it.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping, refusing a key that comes twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != f"{TAG}merge"]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.MarkedYAMLError(problem=f"{twice[0]!r} is there twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


CoreLoader.yaml_implicit_resolvers = {}
for _name, _pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+|\.inf)|\.nan",
    "merge": "<<",
}.items():
    CoreLoader.add_implicit_resolver(TAG + _name, re.compile(f"^(?:{_pattern})$"), None)


def read_params(path: Path = Path("params.yaml")) -> dict[str, Any]:
    """Return params.yaml as a plain mapping.

    Raises:
        ParamsError: the file is missing, is not YAML, or is not a mapping.

    """
    try:
        params = yaml.load(path.read_text(encoding="utf-8"), Loader=CoreLoader)  # a SafeLoader
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the project's root") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:  # all these for "!!int x"
        raise ParamsError(f"{path} is not YAML: {error}") from None
    except RecursionError:
        raise ParamsError(f"{path} has brackets in brackets, too deep to be read") from None
    if not isinstance(params, dict):
        raise ParamsError(f"{path} must hold sections such as 'train:', not {type(params).__name__}")
    return params


def parse(settings: type[S], values: Any, where: str = "") -> S:
    """Return `values` as `settings`; `where` is their key in params.yaml, for the message.

    Raises:
        ParamsError: naming each key that is wrong, its value, and what is allowed.

    """
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        keys = ", ".join(settings.model_fields)
        told = "; ".join(_describe(each, where, keys) for each in error.errors())
        raise ParamsError(f"params.yaml: {told}") from None


def section(params: dict[str, Any], key: str, settings: type[S]) -> S:
    """Return the section `key` (dots descend) of `params` as `settings`.

    Raises:
        ParamsError: the section is missing or holds something that is not allowed.

    """
    values: Any = params
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            known = ", ".join(map(str, values)) if isinstance(values, dict) else "nothing"
            raise ParamsError(f"params.yaml: there is no {key!r}; beside it there are: {known}")
        values = values[part]
    return parse(settings, values, key)


def _describe(error: Any, where: str, keys: str) -> str:
    loc = [str(part) for part in error["loc"]]
    key = ".".join([where, *loc] if where else loc)
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "extra_forbidden":
        return f"{key} is not a known key; known are {keys}"
    if error["type"] == "model_type":
        return f"{key} = {error['input']!r}: must be a section with {keys}"
    message = (
        error["msg"].removeprefix("Value error, ").removeprefix("Input ").replace("should be", "must be")
    )
    return f"{key} = {error['input']!r}: {message}"
