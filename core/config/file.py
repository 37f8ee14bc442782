"""Settings from YAML: strict reading, merging, and errors that name the file, the field and the closest valid field."""

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from core.config import Config

Model = TypeVar("Model", bound=BaseModel)


def field_paths(model: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    """Dotted names of all settings: `data.root`, `loss.color_threshold`, ..."""
    paths = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            paths += field_paths(field.annotation, f"{prefix}{name}.")
        else:
            paths.append(f"{prefix}{name}")
    return paths


def nearest(name: str, known: list[str]) -> str:
    """` (did you mean ...?)` with the known name closest to `name`; empty if none is close."""
    # The last part decides: `loss.color_treshold` and `color_threshold` both mean `loss.color_threshold`.
    by_leaf = {path.rsplit(".", 1)[-1]: path for path in known}
    match = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    leaf = difflib.get_close_matches(name.rsplit(".", 1)[-1], list(by_leaf), n=1, cutoff=0.6)
    found = match[0] if match else by_leaf[leaf[0]] if leaf else None
    return f" (did you mean '{found}'?)" if found else ""


def describe(error: ValidationError, source: str, known: list[str]) -> str:
    """One line per problem: source, dotted field, what is wrong, value found."""
    lines = []
    for problem in error.errors():
        path = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{source}: unknown key '{path}'{nearest(path, known)}")
        else:
            found = "" if isinstance(problem["input"], dict) else f", found {problem['input']!r}"
            lines.append(f"{source}: {path or 'config'}: {problem['msg']}{found}")
    return "\n".join(lines)


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, except that a duplicate key in a mapping is an error instead of overwriting the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"duplicate key '{twice}'", node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file whose content is a mapping.

    Raises:
        ValueError: if the file is missing, is not valid YAML or is not a mapping; names the file.
    """
    try:
        content = yaml.load(Path(path).read_text(), _StrictLoader)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping of settings, found {type(content).__name__}")
    return content


def merge(base: dict[str, Any], difference: dict[str, Any]) -> dict[str, Any]:
    """`base` updated with the leaves of `difference`; neither input is changed."""
    merged = dict(base)
    for key, value in difference.items():
        both_are_sections = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both_are_sections else value
    return merged


def validated(model: type[Model], settings: dict[str, Any], source: str) -> Model:
    """Validate settings against a model; `source` names them in errors.

    Raises:
        ValueError: for an unknown key (names the closest valid one) or an invalid value.
    """
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        raise ValueError(describe(error, source, field_paths(model))) from None


def build_config(settings: dict[str, Any], source: str) -> Config:
    """Build the config from nested settings; arguments and errors as in `validated`."""
    return validated(Config, settings, source)
