"""The picture page of a run: ``index.html`` in the folder of the results, made of their records alone.

It is plain HTML and CSS: no scripts, nothing from other places. What it shows follows from the files in the folder, in
whatever order and by however many runs they were written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from urllib.parse import quote

from meshrec.errors import MeshrecError, printable
from meshrec.files.atomic import write_file
from meshrec.jobs.page_entries import Entry, PersonRow, page_entry
from meshrec.jobs.result_folders import result_folders
from meshrec.jobs.thumbnails import find_thumbnail, thumbnail_name

PAGE = "index.html"
MARK = '<meta name="generator" content="meshrec">'
"""What tells a page of ours, which may be replaced, from a page of the user's."""

COLUMNS = {
    "score": ("score", "confidence from 0 to 1 that the body is right; it is low where much of a person is not seen"),
    "error": ("error", "mean distance of detected and projected landmarks, as a share of the box"),
    "overlap": ("IoU", "overlap of the body with the person's mask, from 0 to 1"),
}
"""Attributes of a row that are shown, with the heads of their columns and what they mean."""

STYLE = """
:root { color-scheme: light dark; --line: #8884; --doubt: #c60; }
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; }
h1 { font-size: 1.3rem; margin: 0; }
header { margin-bottom: 1rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; align-items: start; }
article { border: 1px solid var(--line); border-radius: 6px; padding: .7rem; overflow-wrap: anywhere; }
article.doubtful { border-color: var(--doubt); }
h2 { font-size: 1rem; margin: .4rem 0; }
img, video { max-width: 100%; height: auto; display: block; margin-bottom: .3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; font-weight: normal; padding: .1rem .6rem .1rem 0; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
th.number { text-align: right; }
p { margin: .3rem 0; }
.doubt { color: var(--doubt); }
.small, thead { font-size: .85rem; opacity: .8; }
body:has(#doubtful:checked) article:not(.doubtful) { display: none; }
"""


def write_picture_page(out: Path) -> Path | None:
    """Write the picture page of all finished results in a folder, and the small pictures on it.

    Args:
        out: The folder of the run.

    Returns:
        The page; None if there are no results, or if an ``index.html`` is there that is not of meshrec, or a folder.

    Raises:
        InputError: The folder cannot be written to.
    """
    path = out / PAGE
    if os.path.lexists(path) and not _is_ours(path):
        return None
    entries = []
    for result in result_folders(out):
        folder = result.path.relative_to(out).as_posix()
        entries.append(page_entry(result, "" if folder == "." else folder))
        for overlay in entries[-1].overlays:
            find_thumbnail(result.path / overlay)
    if not entries:
        return None
    text = picture_page(entries).encode()
    return path if path.exists() and path.read_bytes() == text else write_file(path, text)


@contextmanager
def page_of_results(out: Path) -> Iterator[None]:
    """Write the picture page when the block ends, also if it is interrupted or fails.

    Raises:
        InputError: The page cannot be written, although the block succeeded.
    """
    try:
        yield
    except BaseException:
        with suppress(MeshrecError, OSError):  # the reason why the block failed is the one to report
            write_picture_page(out)
        raise
    write_picture_page(out)


def picture_page(entries: Sequence[Entry]) -> str:
    """The text of the page.

    Example:
        >>> from meshrec.jobs.page_entries import Entry
        >>> from meshrec.jobs.picture_page import picture_page
        >>> entry = Entry("a<b.jpg", "photo", "a<b.jpg", (), ("nobody was found",), (), (), ())
        >>> "a&lt;b.jpg" in picture_page([entry])
        True
    """
    people = sum(len(entry.people) for entry in entries)
    doubtful = sum(bool(entry.doubts) for entry in entries)
    kinds = [(kind, sum(entry.kind == kind for entry in entries)) for kind in ("photo", "clip", "cameras")]
    names = {"photo": "photos", "clip": "clips", "cameras": "results of several cameras"}
    counts = "; ".join(f"{names[kind]}: {count}" for kind, count in kinds if count)
    articles = "\n".join(_article(entry) for entry in entries)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{MARK}
<meta http-equiv="Content-Security-Policy" content="script-src 'none'; object-src 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Results of meshrec</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>Results of meshrec</h1>
<p>{counts}; people: {people}; doubtful results: {doubtful}</p>
<p><label><input type="checkbox" id="doubtful"> show doubtful results only</label></p>
</header>
<main>
{articles}
</main>
</body>
</html>
"""


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return MARK.encode() in file.read(1000)


def _text(text: object) -> str:
    """A text of any origin, for the page."""
    return escape(printable(text))


def _address(*parts: str) -> str:
    """The address of a file, relative to the page. It begins with a dot, so that no name can be taken for a scheme."""
    path = "/".join(part for part in parts if part)
    return escape("./" + quote(os.fsencode(path)))


def _article(entry: Entry) -> str:
    pictures = "\n".join(_picture(entry, overlay) for overlay in entry.overlays)
    files = " ".join(_link(entry, name, name) for name in entry.files)
    remarks = [f'<p class="doubt">{_text(doubt)}</p>' for doubt in entry.doubts]
    remarks += [f'<p class="small">{_text(note)}</p>' for note in entry.notes]
    return "\n".join(
        [
            f'<article class="{"doubtful" if entry.doubts else "sound"}">',
            pictures,
            f"<h2>{_text(entry.title)}</h2>",
            *([_table(entry)] if entry.people else []),
            *remarks,
            f'<p class="small">{files}</p>',
            "</article>",
        ]
    )


def _picture(entry: Entry, overlay: str) -> str:
    address, small = _address(entry.folder, overlay), _address(entry.folder, thumbnail_name(overlay))
    if overlay.endswith(".mp4"):
        return f'<video controls preload="none" poster="{small}" src="{address}"></video>'
    return f'<a href="{address}"><img loading="lazy" src="{small}" alt="{_text(f"{entry.title}: {overlay}")}"></a>'


def _table(entry: Entry) -> str:
    shown = [key for key in COLUMNS if any(getattr(row, key) is not None for row in entry.people)]
    heads = "".join(f'<th class="number" title="{COLUMNS[key][1]}">{COLUMNS[key][0]}</th>' for key in shown)
    rows = "\n".join(_person(entry, row, shown) for row in entry.people)
    return f"<table><thead><tr><th>person</th>{heads}<th>files</th></tr></thead><tbody>\n{rows}\n</tbody></table>"


def _person(entry: Entry, row: PersonRow, shown: Sequence[str]) -> str:
    values = (getattr(row, key) for key in shown)
    cells = "".join(f'<td class="number">{"" if value is None else f"{value:.2f}"}</td>' for value in values)
    links = " ".join(_link(entry, name, name.rpartition(".")[2]) for name in row.files)
    seen = f'<br><span class="small">{_text(row.seen)}</span>' if row.seen else ""
    return f"<tr><td>{_text(row.name)}{seen}</td>{cells}<td>{links}</td></tr>"


def _link(entry: Entry, name: str, text: str) -> str:
    return f'<a href="{_address(entry.folder, name)}">{_text(text)}</a>'
