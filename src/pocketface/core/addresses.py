"""Addresses, shown without the secrets in them: in every `PocketfaceError` and all else that may hold one."""

import os
import re
from urllib.parse import quote

ADDRESS = re.compile(r"(?<=://)\S+")
QUERY = re.compile(r"(?<=[?&])[\w.%+-]+=\S+")
CREDENTIALS = re.compile(r"(?<![\w/])[\w.%+-]+:[^\s:/\\@][^\s@]*(?=@\w)")
"""User and password of an address that lacks its scheme."""
SECRET = re.compile("[?#;].+")
"""Of an address what follows its path."""
PUNCTUATION = "]:;,.)}'\"`"
"""What may follow an address in a sentence."""
LOCAL = ("sqlite:///", "sqlite+pysqlite:///", "file:///")
"""Addresses of a path on this machine, which may hold blanks and an `@`."""
HIDDEN = "***"


def without_secrets(text: str) -> str:
    """A text, or an address, in which addresses have neither user nor password nor query.

    `https://me:secret@host/x?token=secret` becomes `https://***@host/x?***`; so do `me:secret@host` and a
    query without an address. Where it is not clear which part is the host, nothing of the address is left but
    its scheme.
    """
    return CREDENTIALS.sub(HIDDEN, QUERY.sub(HIDDEN, ADDRESS.sub(_hidden, text)))


def _hidden(found: re.Match[str]) -> str:
    address = found[0].rstrip(PUNCTUATION)
    after = found[0][len(address) :]
    user, _, place = address.rpartition("@")
    if found.string.endswith(LOCAL, 0, found.start() + 1):
        user, place = "", address
    elif "?" in user:
        return HIDDEN + after
    return f"{HIDDEN}@" * bool(user) + SECRET.sub(lambda one: one[0][:1] + HIDDEN, place) + after


def address_in(variable: str) -> str:
    """What an environment variable names, an address or a folder; empty if nothing. Blanks in an address are
    written `%20`, as whoever opens it reads them: `without_secrets` takes a blank for its end.
    """
    value = os.environ.get(variable, "").strip()
    if "://" not in value or value.startswith(LOCAL):
        return value
    return re.sub(r"\s", lambda blank: quote(blank[0]), value)
