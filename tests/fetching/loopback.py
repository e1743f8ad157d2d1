"""A real HTTP server on loopback that misbehaves on request; the fixture `site` runs it."""

import base64
import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 4096


@dataclass
class Answer:
    """How one request is answered; the default is to behave."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    stall_after: int | None = None
    ignore_range: bool = False
    shift_range: bool = False
    body: bytes | None = None
    endless: bool = False
    length: str | None = None


@dataclass
class Site:
    """What the server has, what it will do, and what it was asked."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, Answer] = field(default_factory=dict)
    versioned: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    sent: int = 0
    on_block: Callable[[], None] = lambda: None
    going_down: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"

    def ranges(self, path: str) -> list[str | None]:
        return [wanted for asked, wanted in self.asked if asked == path]


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            site.asked.append((path, self.headers.get("Range")))
            queue = site.answers[path]
            answer = queue.pop(0) if queue else site.always.get(path, Answer())
            body = site.files.get(path)
            if body is None and answer.status == 200:
                answer = Answer(status=404)
            if answer.status != 200:
                self.reply(answer.status, answer.headers, b"sorry", answer)
                return
            assert body is not None
            self.give(body if answer.body is None else answer.body, answer)

        def give(self, body: bytes, answer: Answer) -> None:
            version = f'"{hashlib.md5(body).hexdigest()}"'
            headers = dict(answer.headers)
            if site.versioned:
                headers["ETag"] = version
            wanted = self.headers.get("Range")
            same = self.headers.get("If-Range", version) == version
            if wanted is None or answer.ignore_range or not same:
                self.reply(200, headers, body, answer)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.reply(416, {"Content-Range": f"bytes */{len(body)}"}, b"", answer)
                return
            start -= answer.shift_range
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self.reply(206, headers, body[start:], answer)

        def reply(self, status: int, headers: dict[str, str], body: bytes, answer: Answer) -> None:
            # Its words are what it was told: user and password, or the path.
            told = self.headers.get("Authorization", "").removeprefix("Basic ")
            self.send_response(status, base64.b64decode(told).decode() or self.path)
            for name, value in headers.items():
                self.send_header(name, value)
            if not answer.endless:
                self.send_header("Content-Length", str(len(body)) if answer.length is None else answer.length)
            self.end_headers()
            self.close_connection |= answer.endless or answer.length is not None
            while answer.endless:
                self.wfile.write(bytes(BLOCK))
            end = answer.cut_after if answer.cut_after is not None else answer.stall_after
            shown = body if end is None else body[:end]
            for start in range(0, len(shown), BLOCK):
                self.wfile.write(shown[start : start + BLOCK])
                self.wfile.flush()
                site.sent += len(shown[start : start + BLOCK])
                site.on_block()
            if answer.stall_after is not None:
                site.going_down.wait(30)
            if end is not None:
                self.close_connection = True

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client was killed, or gave up on a stalled answer
                super().handle()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def serving() -> Iterator[Site]:
    """A running server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.daemon_threads = True
    site = Site(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = handler(site)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield site
    finally:
        site.going_down.set()
        server.shutdown()
        thread.join()
        server.server_close()
