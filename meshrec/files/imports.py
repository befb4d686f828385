"""Objects of the user's own code, named by an import path such as ``my_package.my_module:MyNetwork``.

Importing a module runs it. So these paths are taken from the user alone: from arguments, options and configurations
that the user wrote, and never from a checkpoint or another file.
"""

from importlib import import_module
from typing import Any

from meshrec.errors import InputError


def is_import_path(name: object) -> bool:
    """Whether a name is meant as an import path: it has a colon between module and object."""
    return isinstance(name, str) and ":" in name


def imported(path: str) -> Any:
    """Import the object that a path names.

    Args:
        path: ``my_package.my_module:MyNetwork``, written by the user.

    Raises:
        InputError: It is no such path, the module cannot be imported or fails, or it has no such object.

    Example:
        >>> from meshrec.files.imports import imported
        >>> imported("collections:Counter")("hello")["l"]
        2
    """
    module, _, name = path.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise InputError(f"{path!r:.100} is no import path: write my_package.my_module:MyNetwork")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise InputError(
                f"there is no module '{module}' for '{path}': install it, or name its folder in PYTHONPATH"
            ) from None
        raise InputError(f"the module '{module}' needs '{error.name}', which is not installed") from error
    except Exception as error:
        raise InputError(f"the module '{module}' fails when it is imported: {type(error).__name__}: {error}") from error
    if not hasattr(found, name):
        raise InputError(f"the module '{module}' has no '{name}'")
    return getattr(found, name)
