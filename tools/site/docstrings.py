"""How the documentation site reads docstrings: ``Example:`` is the section that Griffe calls ``Examples:``."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Let examples be shown as programs, and not as quotations."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
