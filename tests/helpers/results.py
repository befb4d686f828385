"""Result files against their JSON Schemas. Where jsonschema is missing, nothing is checked but that JSON is strict."""

import json
from pathlib import Path

RESULT_FILES = {
    "photo": "photo.json",
    "person": "person_*.json",
    "clip": "clip.json",
    "track": "track_*.json",
    "cameras": "cameras.json",
}


def strict_json(text: str | bytes) -> dict:
    """JSON as its standard has it: without NaN and Infinity, which Python alone reads."""

    def refuse(token: str) -> None:
        raise ValueError(f"{token} is no JSON")

    return json.loads(text, parse_constant=refuse)


def closed(schema: object) -> object:
    """A schema that refuses the keys it does not describe, so that no key is written without a description."""
    if isinstance(schema, list):
        return [closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(entry) for key, entry in schema.items()}
    return {"additionalProperties": False, **inner} if isinstance(schema.get("properties"), dict) else inner


def check_result(document: object, name: str) -> None:
    """Raise a ``jsonschema.ValidationError`` unless a document conforms to the schema of that name."""
    try:
        from jsonschema import Draft202012Validator
    except ModuleNotFoundError:
        return
    from meshrec.export import load_schema

    Draft202012Validator(closed(load_schema(name))).validate(document)


def check_results(folder: Path) -> None:
    """Check all result files in a folder and the folders in it."""
    for name, pattern in RESULT_FILES.items():
        for path in folder.rglob(pattern):
            check_result(strict_json(path.read_bytes()), name)
