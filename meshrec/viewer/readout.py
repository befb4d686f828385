"""The measures and scores of people, as a table beside the scene.

Texts of files go through :func:`html.escape`: viser's Markdown would run what stands in braces as a program.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from meshrec.body.anthropometry import DEFINITIONS, Measures
from meshrec.errors import InputError, printable
from meshrec.reconstruct.measuring import measure
from meshrec.viewer.shown import Posed, Shown, ShownPerson

MEASURES = ("stature", "arm_span", "chest_girth", "waist_girth", "hip_girth", "inseam", "mass")
MOST_COLUMNS = 4  # people in the table of measures; it would become too wide


def measures_of(person: ShownPerson) -> Measures | None:
    """The measures of a person, with deviations where the shape's covariance is known; None for a body that lacks the
    landmarks."""
    try:
        return measure(person.track.body, person.track.betas, person.covariance)
    except (InputError, ValueError):
        return None


def label_of(person: ShownPerson, measures: Measures | None) -> str:
    """Name and stature of a person, for a control."""
    return person.name if measures is None else f"{person.name}, {100 * measures['stature']:.0f} cm"


def value_of(measures: Measures, name: str) -> str:
    """A measure with its standard deviation in words.

    Example:
        >>> from meshrec.body.anthropometry import Measures
        >>> from meshrec.viewer.readout import value_of
        >>> value_of(Measures({"stature": 1.732}, {"stature": 0.041}), "stature")
        '173.2 ± 4.1 cm'
    """
    scale, unit = (100.0, "cm") if DEFINITIONS[name].unit == "m" else (1.0, DEFINITIONS[name].unit)
    deviation = "" if measures.deviations is None else f" ± {scale * measures.deviations[name]:.1f}"
    return f"{scale * measures.values[name]:.1f}{deviation} {unit}"


def measures_table(names: Sequence[str], measures: Sequence[Measures | None]) -> str:
    """The measures of the first people as HTML.

    Args:
        names: Names of the people.
        measures: Their measures.
    """
    known = [(name, own) for name, own in zip(names, measures) if own is not None][:MOST_COLUMNS]
    if not known:
        return "<p>no measures</p>"
    heads = "".join(f"<th>{text(name)}</th>" for name, _ in known)
    rows = "".join(
        f"<tr><td>{name.replace('_', ' ')}</td>{''.join(f'<td>{value_of(own, name)}</td>' for _, own in known)}</tr>"
        for name in MEASURES
        if all(name in own.values for _, own in known)
    )
    return f'<table style="font-size:0.8em;margin:0 1em"><tr><th></th>{heads}</tr>{rows}</table>'


def moment(shown: Shown, index: int, posed: Sequence[Posed | None]) -> str:
    """What is known of a frame as HTML: its number and time, and the score of everyone in it.

    Args:
        shown: The result.
        index: Of the frame among those of the result.
        posed: Everybody at that frame.
    """
    lines = []
    if len(shown.frames) > 1:
        lines.append(f"frame {int(shown.frames[index])}, {shown.times[index]:.2f} s")
    for person, own in zip(shown.people, posed):
        if own is not None and own.score is not None:
            lines.append(f"{text(person.name)}: score {own.score:.2f}")
    return f'<p style="font-size:0.8em;margin:0 1em">{"<br>".join(lines)}</p>'


def remarks(shown: Shown) -> str:
    """The remarks of a result as HTML."""
    found = shown.folder.notes or (() if shown.people else ("nobody was found",))
    return f'<p style="font-size:0.8em;margin:0 1em">{"<br>".join(text(note) for note in found)}</p>'


def text(of_file: object) -> str:
    """A text of any origin, for HTML."""
    return escape(printable(of_file))
