"""JSON Schemas (draft 2020-12) of the result files, which say unit and axes of each number.

They are the files in ``schemas`` beside this module, for programs in other languages; any validator of JSON Schema
reads them.
"""

import json
from pathlib import Path
from typing import Any

SCHEMAS = ("person", "photo", "track", "clip", "cameras")


def load_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a result file.

    Args:
        name: ``"person"`` for the ``person_0.json`` of a photo and of :meth:`meshrec.Person.to_json`, ``"photo"`` for
            its ``photo.json``; ``"track"`` for the ``track_0.json`` of a clip and of :meth:`meshrec.Track.save`,
            ``"clip"`` for its ``clip.json``; ``"cameras"`` for the ``cameras.json`` of several cameras.

    Returns:
        The schema. Unknown keys conform to it, as readers ignore them.

    Raises:
        ValueError: There is no such schema.

    Example:
        >>> from meshrec.export import load_schema
        >>> load_schema("person")["properties"]["joint_deviation"]["description"].split(".")[0]
        "Standard deviation of each joint's position relative to the pelvis, by name, metres"
    """
    if name not in SCHEMAS:
        raise ValueError(f"there is no schema '{name}': choose of {', '.join(SCHEMAS)}")
    schema: dict[str, Any] = json.loads((Path(__file__).parent / "schemas" / f"{name}.json").read_bytes())
    return schema
