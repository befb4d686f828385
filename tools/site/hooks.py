"""What the documentation site does besides MkDocs: links that leave ``docs/``, the changelog, and references."""

import posixpath
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\((?!\w+:|#)([^)\s]+)\)")
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
REFERENCE = re.compile(r":(?:func|class|meth|mod|data|attr|exc):<code>~?([^<]+)</code>")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Make links to files of the repository links to its host, or plain names where no ``repo_url`` is known."""
    if page.file.src_uri == "changelog.md":
        text = (Path(config.config_file_path).parent / "CHANGELOG.md").read_text(encoding="utf-8")
        markdown = text.replace("](docs/", "](")

    def replaced(match: re.Match) -> str:
        text, target = match.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), target.split("#")[0]))
        if not path.startswith("../"):
            return match[0]
        address = (config.repo_url or "").rstrip("/")
        return f"[{text}]({address}/blob/main/{path.removeprefix('../')})" if address else text

    # Shapes such as [24][3] are no references to links.
    parts = CODE.split(LINK.sub(replaced, markdown))
    return "".join(part if number % 2 else part.replace("][", "]\\[") for number, part in enumerate(parts))


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Show Sphinx's roles, which the docstrings use, as code."""
    return REFERENCE.sub(r"<code>\1</code>", html)
