"""Pages of which a command writes a section, or the rows of a table."""

import re
from pathlib import Path

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import write_text


def write_section(page: Path, title: str, body: str) -> None:
    """Puts `## title` and its body into a Markdown page, in place of an earlier section of that title."""
    text = page.read_text(encoding="utf-8") if page.is_file() else "# Reliability\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    before, after = (text[: found.start()], text[found.end() :]) if found else (text, "")
    parts = [before.rstrip(), f"## {title}", body.strip(), after.strip()]
    write_text(page, "\n\n".join(part for part in parts if part) + "\n")


def write_rows(page: Path, mark: str, head: list[str], rows: list[str]) -> None:
    """Puts rows into the table between `<!-- MARK -->` and `<!-- /MARK -->` of a page.

    Args:
        page: Markdown.
        mark: the table's.
        head: its first two lines.
        rows: lines; one takes the place of an earlier one whose first two cells are the same.

    Raises:
        PocketfaceError: the page has no such marks.
    """
    found = re.fullmatch(
        rf"(.*<!-- {mark} -->\n)(.*?)(<!-- /{mark} -->.*)", page.read_text(encoding="utf-8"), re.DOTALL
    )
    if not found:
        raise PocketfaceError(f"{page}: no lines `<!-- {mark} -->` and `<!-- /{mark} -->`")
    before, table, after = found.groups()
    lines = [line for line in table.splitlines() if line.startswith("|")][len(head) :] + rows
    merged = {tuple(line.split("|")[1:3]): line for line in lines}
    write_text(page, before + "\n".join([*head, *merged.values()]) + "\n" + after)
