"""Settings from YAML: strict reading, merging, and errors that name the file, the field and the closest valid field."""

import difflib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.config import Config
from core.config.data import ALTERNATIVES
from core.config.plain_yaml import parse_yaml
from core.files.shown import shown

Model = TypeVar("Model", bound=BaseModel)

LARGEST = 100_000  # bytes of a file of settings
MAX_PROBLEMS_SHOWN = 5
LONGEST_NAME = 200  # characters of a name in a message


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
    name = name[:LONGEST_NAME]
    # The last part decides: `loss.color_treshold` and `color_threshold` both mean `loss.color_threshold`.
    by_leaf = {path.rsplit(".", 1)[-1]: path for path in known}
    match = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    leaf = difflib.get_close_matches(name.rsplit(".", 1)[-1], list(by_leaf), n=1, cutoff=0.6)
    found = match[0] if match else by_leaf[leaf[0]] if leaf else None
    return f" (did you mean '{found}'?)" if found else ""


def describe(error: ValidationError, source: str, known: list[str]) -> str:
    """One line for each of the first problems: source, dotted field, what is wrong, value found."""
    problems = error.errors()
    lines = []
    for problem in problems[:MAX_PROBLEMS_SHOWN]:
        path = ".".join(str(part) for part in problem["loc"] if part not in ALTERNATIVES)
        place = f"{path[:LONGEST_NAME]}..." if len(path) > LONGEST_NAME else path
        if problem["type"] == "extra_forbidden":
            lines.append(f"{source}: unknown key '{place}'{nearest(path, known)}")
        else:
            found = "" if isinstance(problem["input"], dict) else f", found {shown(problem['input'])}"
            lines.append(f"{source}: {place or 'config'}: {problem['msg']}{found}")
    if len(problems) > len(lines):
        lines.append(f"{source}: ... and {len(problems) - len(lines)} more")
    return "\n".join(lines)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file whose content is a mapping, as `plain_yaml` reads it.

    Raises:
        ValueError: if the file is missing, too large, not UTF-8, not valid YAML or not a mapping; names the file.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > LARGEST:
        raise ValueError(f"{path}: more than {LARGEST:,} bytes, expected a file of settings")
    try:
        settings = parse_yaml(content.decode("utf-8-sig"))  # Windows' editors write the mark of byte order
    except UnicodeDecodeError as error:
        found = f"byte 0x{content[error.start]:02x} at position {error.start}"
        raise ValueError(f"{path}: not UTF-8 text ({found}); save it as UTF-8") from error
    except ValueError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(settings, dict):
        found = "nothing" if settings is None else type(settings).__name__
        raise ValueError(f"{path}: expected a mapping of settings, found {found}")
    return settings


def merge(base: dict[str, Any], difference: dict[str, Any]) -> dict[str, Any]:
    """`base` updated with the leaves of `difference`; neither input is changed.

    A training's length is stated in steps or in epochs: if `difference` states one, the other is dropped from `base`.
    """
    merged = dict(base)
    for stated, other in (("steps", "epochs"), ("epochs", "steps")):
        if difference.get(stated) is not None and other not in difference and other in base:
            merged[other] = None
    for key, value in difference.items():
        both_are_sections = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both_are_sections else value
    return merged


def validated(model: type[Model], settings: dict[str, Any], source: str) -> Model:
    """Validate settings, JSON values, against a model; `source` names them in errors.

    The types are those of JSON: text is no number, and neither is true.

    Raises:
        ValueError: for an unknown key (names the closest valid one) or an invalid value.
    """
    try:
        return model.model_validate_json(json.dumps(settings), strict=True)
    except ValidationError as error:
        raise ValueError(describe(error, source, field_paths(model))) from None


def build_config(settings: dict[str, Any], source: str) -> Config:
    """Build the config from nested settings; arguments and errors as in `validated`."""
    return validated(Config, settings, source)
