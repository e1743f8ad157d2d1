"""A page of which every section is written by a command of its own."""

import re
from pathlib import Path

from pocketface.files import written_whole


def write_section(page: Path, title: str, body: str) -> None:
    """Puts `## title` and its body into a Markdown page, in place of an earlier section of that title."""
    text = page.read_text(encoding="utf-8") if page.is_file() else "# Reliability\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    before, after = (text[: found.start()], text[found.end() :]) if found else (text, "")
    parts = [before.rstrip(), f"## {title}", body.strip(), after.strip()]
    with written_whole(page) as partial:
        partial.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
