"""Downloading one file over HTTP: resumed, retried, checked.

Bytes go to `NAME.part` beside the target, and what identifies the server's version of the file (its ETag or
date) to `NAME.part.version`. A download that was cut, stalled or killed goes on from there; where neither
that version nor a checksum would show that the server has another file by now, it starts again.
"""

import itertools
import re
import sys
import time
from http.client import responses
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import digest, remove, told_when_full, write_text
from pocketface.fetching.sources import Copy

ATTEMPTS = 5
"""Failures in a row before giving up; one that brought new bytes starts the count anew."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 120.0
"""Seconds between attempts, doubled each time. A server that asks for more than the longest is not waited
for."""
TIMEOUTS = 20.0, 60.0
"""Seconds to wait for a connection, and for the next bytes of one."""
BLOCK = 2**16
LARGEST = 2**36
"""Bytes of a file whose size is not known; an answer may have no end."""
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
REMEDIES = {
    401: "the server wants a login: fetch it with a browser",
    403: "the server refuses it: read the dataset's terms, fetch it with a browser",
    404: "it is not there any more: look for its new address on the dataset's page",
    410: "it was withdrawn: look on the dataset's page",
    451: "it is withheld for legal reasons: look on the dataset's page",
}


class Interrupted(Exception):
    """The attempt failed, another may not. `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class NotThere(PocketfaceError):
    """The server does not have the file, or does not give it to us."""


class WrongFile(PocketfaceError):
    """A file that is not what `data/sources.yaml` says; no other place is tried silently."""


def download(url: str, target: Path, copy: Copy) -> None:
    """Downloads the copy at an http or https address to `target`, which is replaced when all of it is there
    and right. More bytes than its size, or than `LARGEST` where that is not known, are an error at once.

    Raises:
        NotThere: 401, 403, 404 and the like, with what to do.
        WrongFile: as `check`; the file is removed.
        PocketfaceError: the server failed again and again, the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    furthest, fruitless = -1, 0  # failures in a row, the last that got further included
    with told_when_full(part):
        for attempt in itertools.count(1):
            try:
                _attempt(url, part, copy)
                break
            except Interrupted as error:
                failure = error
            reached = _length(part)
            fruitless = 1 if reached > furthest else fruitless + 1
            furthest = max(furthest, reached)
            if fruitless >= ATTEMPTS or failure.wait > LONGEST_WAIT:
                wait = f"; the server asks to wait {failure.wait:.0f} s" if failure.wait else ""
                kept = f", it goes on after the {reached} bytes in {part}" if reached else ""
                tried = f"gave up after {attempt} attempts"
                raise PocketfaceError(f"{url}: {failure}{wait}; {tried}; run again later{kept}")
            time.sleep(max(failure.wait, min(FIRST_WAIT * 2 ** (fruitless - 1), LONGEST_WAIT)))
    try:
        check(part, copy, url)
    except WrongFile:
        remove(part)
        raise
    finally:
        remove(_version(part))
    part.replace(target)


def check(path: Path, copy: Copy, origin: str) -> None:
    """Compares a file with the size and checksums that are known of it; where none is, prints its SHA-256.

    Raises:
        WrongFile: it is not that file; the message names its `origin`.
    """
    known = {
        "bytes": (copy.size, lambda: path.stat().st_size),
        "SHA-256": (copy.sha256, lambda: digest(path)),
        "MD5": (copy.md5, lambda: digest(path, "md5")),
    }
    for what, (expected, measure) in known.items():
        if expected is not None and (got := measure()) != expected:
            raise WrongFile(
                f"{origin}: not the file that data/sources.yaml means: {what} should be {expected} and is "
                f"{got}; the file is not used. Run again to fetch it anew; if it stays so, ask whoever "
                "provides it, or correct the entry if the publisher has a new release"
            )
    if not copy.has_checksum():
        print(f"{copy.path}: sha256 {digest(path)} (none is known in data/sources.yaml)", file=sys.stderr)


def _attempt(url: str, part: Path, copy: Copy) -> None:
    """One request: asks for what is missing of `part` and appends it."""
    have = _length(part)
    if have == copy.size:
        return
    version = _version(part).read_text(encoding="utf-8") if _version(part).exists() else ""
    headers = {"Accept-Encoding": "identity", "User-Agent": "pocketface"}
    if have and (version or copy.has_checksum()):
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                if answer.headers.get("Content-Range") == f"bytes */{have}":
                    return
                remove(part)
                raise Interrupted("the server has fewer bytes than we, starting again")
            _check_status(url, answer)
            if answer.status_code != requests.codes.partial_content:
                _start_again(part, answer)
            elif not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                remove(part)
                raise Interrupted("the server sent another range than the one asked for, starting again")
            _append(url, part, answer, copy.size)
    except requests.exceptions.SSLError as error:
        raise PocketfaceError(f"{url}: the server's certificate is not accepted ({error})") from None
    except requests.ConnectTimeout:
        raise Interrupted("no connection in time") from None
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise Interrupted("the server stalled") from None
    except urllib3.exceptions.ProtocolError:
        raise Interrupted("the connection was cut") from None
    except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
        online = "is this machine online, the address right?"
        raise Interrupted(f"no connection ({type(error).__name__}: {online})") from None
    except requests.RequestException as error:
        raise PocketfaceError(f"{url}: {error}; is the address in data/sources.yaml right?") from None


def _check_status(url: str, answer: requests.Response) -> None:
    # Not in the server's words: they may repeat what it was asked.
    told = f"HTTP {answer.status_code} {responses.get(answer.status_code, '')}".strip()
    if answer.status_code in TRANSIENT:
        try:
            wait = urllib3.Retry().parse_retry_after(answer.headers.get("Retry-After", "0"))
        except (urllib3.exceptions.InvalidHeader, ValueError):  # neither a date nor a number of that length
            wait = 0.0
        raise Interrupted(told, wait)
    if not answer.ok:
        remedy = REMEDIES.get(answer.status_code, "look whether the address in data/sources.yaml is right")
        raise NotThere(f"{url}: {told}; {remedy}")


def _start_again(part: Path, answer: requests.Response) -> None:
    """Empties `part` first, then notes the version: killed in between, no bytes belong to a wrong version."""
    part.write_bytes(b"")
    etag = answer.headers.get("ETag", "")
    write_text(_version(part), etag if etag.startswith('"') else answer.headers.get("Last-Modified", ""))


def _append(url: str, part: Path, answer: requests.Response, size: int | None) -> None:
    have = _length(part)
    length = answer.headers.get("Content-Length", "")
    total = have + int(length) if re.fullmatch("[0-9]{1,18}", length) else size
    limit = LARGEST if size is None else size
    bar = tqdm(
        total=total, initial=have, desc=part.stem, unit="B", unit_scale=True, leave=False, disable=None
    )
    with bar, part.open("ab") as file:
        # `iter_content` waits for whole blocks, and loses what it has of one when the connection ends.
        while block := answer.raw.read1(BLOCK, decode_content=False):
            have += len(block)
            if max(have, total or 0) > limit:
                file.close()
                remove(part)
                remove(_version(part))
                known = "a file of unknown size may have" if size is None else "data/sources.yaml gives"
                raise PocketfaceError(
                    f"{url}: it sends more than the {limit} bytes that {known}; "
                    "if the publisher has a new release, correct size and sha256 there"
                )
            file.write(block)
            bar.update(len(block))
    if total is not None and have < total:
        raise Interrupted(f"the connection ended after {have} of {total} bytes")


def _version(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
