"""Checks of networks' settings, which configurations and checkpoints may give."""

from meshrec.errors import InputError

LARGEST = 16384  # largest size of a layer: the weights between two such layers take a gigabyte


def check_sizes(config: object, **least: int) -> None:
    """Refuse sizes in a network's settings that are not whole numbers from their minimum to :data:`LARGEST`.

    Args:
        config: the settings.
        least: the smallest allowed value of each field to check.

    Raises:
        InputError: A size is out of range; the message names the setting.
    """
    for name, low in least.items():
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= LARGEST:
            raise InputError(f"a network's {name} is a whole number from {low} to {LARGEST}, not {value!r:.40}")


def check_share(config: object, name: str) -> None:
    """Refuse a setting that is not a share from 0 to below 1.

    Args:
        config: the settings.
        name: the field to check.

    Raises:
        InputError: The value is out of range; the message names the setting.
    """
    share = getattr(config, name)
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise InputError(f"a network's {name} is a share from 0 to below 1, not {share!r:.40}")
