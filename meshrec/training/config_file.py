"""Reads configurations from YAML files and ``key.sub=value`` overrides. Error messages name the key."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr  # shortens: a few aliases in YAML can make a value of gigabytes
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

from meshrec.errors import InputError
from meshrec.files.imports import is_import_path
from meshrec.files.regular import read_regular
from meshrec.files.yaml_text import parse_yaml
from meshrec.models.build import ARCHITECTURES, architecture_row
from meshrec.training.config import NetworkConfig, TrainingConfig

Keys = tuple[int | str, ...]
Settings = TypeVar("Settings")
MOST_BYTES = 8 << 20  # of a file; the shipped ones have up to 3 kB


def load_config(
    path: str | Path | Sequence[str | Path], overrides: Sequence[str] = (), imports: Collection[str] | None = None
) -> TrainingConfig:
    """Read a configuration.

    It can name networks and readers of the user's own by their import paths, whose modules are then imported. So read
    none that comes from somebody else without looking at it, or with ``imports``.

    Args:
        path: A YAML file, or several, of which later ones override keys of earlier ones. ``configs/<name>.yaml`` names
            a shipped file if there is no such file in the working directory.
        overrides: Values of single keys, such as ``optimizer.rate=3e-4``; ``renders=null`` leaves a source out.
        imports: The import paths that may stand in it. Default: any.

    Raises:
        InputError: A file cannot be read, a key is unknown or missing, a value is of the wrong type or out of range, or
            an import path is not among ``imports``.

    Example:
        >>> config = load_config("configs/iterative_keypoints.yaml", ["batch_size=8", "renders=null"])
        >>> config.network.architecture, config.batch_size, config.renders
        ('iterative', 8, None)
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]
    values: dict = {}
    for part in paths:
        values = _merged(values, _read(_found(part)))
    for override in overrides:
        values = _merged(values, _parsed(override))
    label = " + ".join(map(str, paths))
    if imports is not None and (others := sorted(import_paths(values) - set(imports))):
        raise InputError(f"{label} would have {others[0]!r:.100} imported, which is not what you named.")
    network = values.get("network")
    if isinstance(network, Mapping):
        name = str(network.get("architecture", NetworkConfig.architecture))
        if is_import_path(name) or name in ARCHITECTURES:
            try:
                row = architecture_row(name)
            except InputError as error:
                raise InputError(f"{label}: 'network.architecture': {error}.") from None
            _checked(row.config, network.get("settings") or {}, label, ("network", "settings"))
    return _checked(TrainingConfig, values, label)


def load_settings(kind: type[Settings], path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Read settings of any dataclass, as :func:`load_config` reads those of a training.

    Args:
        kind: The dataclass.
        path: A YAML file; ``configs/<name>.yaml`` names a shipped file if there is no such file.
        overrides: Values of single keys.

    Raises:
        InputError: The file cannot be read, a key is unknown or missing, or a value is wrong.

    Example:
        >>> from meshrec.training.lifting_config import LiftingConfig
        >>> load_settings(LiftingConfig, "configs/lifting.yaml", ["training.steps=7"]).training.steps
        7
    """
    values = _read(_found(Path(path)))
    for override in overrides:
        values = _merged(values, _parsed(override))
    return _checked(kind, values, str(path))


def plain(config: TrainingConfig) -> dict:
    """The configuration as nested dictionaries of values that JSON and YAML can hold."""
    adapter: TypeAdapter[TrainingConfig] = TypeAdapter(TrainingConfig)
    return adapter.dump_python(config, mode="json")


def import_paths(values: Mapping) -> set[str]:
    """The import paths of networks and readers that a configuration, as nested dictionaries, names."""
    found = set()
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= import_paths(value)
        elif key in ("architecture", "format") and is_import_path(value):
            found.add(value)
    return found


def _found(path: Path) -> Path:
    """The file itself, or the shipped one of this name if there is none."""
    package = Path(__file__).resolve().parents[1]
    shipped = [folder / "configs" / path.name for folder in (package, package.parent)]
    named = path.parent in (Path(), Path("configs"))
    return next((file for file in (path, *(shipped if named else ())) if file.is_file()), path)


def _read(path: Path) -> dict:
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}.") from None
    try:
        values = parse_yaml(text)
    except ValueError as error:
        raise InputError(f"{path} is not YAML: {error}.") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold keys and values, as the files of configs/ do.")
    return values


def _parsed(override: str) -> dict:
    """An override such as ``optimizer.rate=1`` as nested dictionaries."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise InputError(f"'{override:.80}' is not an override: write key=value or key.sub=value.")
    try:
        value = parse_yaml(text)
    except ValueError:
        raise InputError(f"the value in '{override:.80}' is not YAML.") from None
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def _merged(old: Mapping, new: Mapping) -> dict:
    """The nested dictionaries ``old``, updated key by key with those of ``new``."""
    result = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result


def _checked(kind: type, values: Mapping, label: str, above: Keys = ()) -> Any:
    """The values as an instance of the dataclass ``kind``.

    Args:
        kind: A dataclass.
        values: Values by key.
        label: Names of the files, for messages.
        above: Keys under which the values stand in the files, for messages.

    Raises:
        InputError: A key is unknown or missing, or a value is wrong.
    """
    # Pydantic's settings, such as to refuse unknown keys, hold for plain dataclasses only as fields of a model.
    holder: Any = create_model("Holder", __config__=ConfigDict(extra="forbid", allow_inf_nan=False), held=(kind, ...))
    try:
        return holder(held=values).held
    except ValidationError as error:
        # Other errors come before missing keys: a misspelt key may be the one that is missing.
        first = min(error.errors(), key=lambda found: found["type"] == "missing")
        raise InputError(f"{label}: {_sentence(kind, first, above)}") from None


def _sentence(kind: type, error: Mapping, above: Keys) -> str:
    """Pydantic's error as a sentence; see :func:`_checked` for ``kind`` and ``above``."""
    where: Keys = error["loc"][1:]
    key = ".".join(map(str, above + where))
    if error["type"] == "unexpected_keyword_argument":
        known = _keys_at(kind, where[:-1])
        near = get_close_matches(str(where[-1]), known, n=1, cutoff=0)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}."
        return f"there is no key '{key}'; {hint}"
    if error["type"] == "missing":
        return f"the key '{key}' is missing."
    if error["type"] == "value_error":
        return f"'{key}': {str(error['ctx']['error']).rstrip('.')}."
    return f"'{key}' {error['msg'].removeprefix('Input ')}, not {repr(error['input']):.80}."


def _keys_at(kind: Any, where: Keys) -> list[str]:
    """Names of the keys that the dataclass ``kind`` has under the keys ``where``."""
    for key in where:
        # A key is a field of a dataclass, or one of the user's own names in a mapping, whose values are all alike.
        kind = get_type_hints(kind)[str(key)] if is_dataclass(kind) else get_args(kind)[-1]
        if get_origin(kind) is UnionType:  # what may be left out: X | None
            kind = get_args(kind)[0]
    return [f.name for f in fields(kind)] if is_dataclass(kind) else []
