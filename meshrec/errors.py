"""The one error a user's own input can raise."""


class InputError(ValueError):
    """Something the user gave is wrong: one sentence says what, in which file, and what to do about it.

    The command line prints that sentence and exits with 1; it never shows a traceback for it.
    """
