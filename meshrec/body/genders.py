"""Genders, the names of the bodies that betas belong to, as files spell them."""

GENDERS = ("neutral", "male", "female")
ACCEPTED = "neutral, male or female, or their first letters"


def gender_named(word: object) -> str | None:
    """The gender that a word stands for, whatever its case, as text or as bytes of Python 2.

    Numbers stand for none: data sets disagree on which is which.

    Returns:
        One of :data:`GENDERS`; None for any other word.

    Example:
        >>> from meshrec.body.genders import gender_named
        >>> gender_named("M"), gender_named(b"female"), gender_named("1")
        ('male', 'female', None)
    """
    if isinstance(word, bytes):
        word = word.decode("utf-8", "replace")
    text = str(word).strip().lower()
    return next((gender for gender in GENDERS if text in (gender, gender[0])), None)
