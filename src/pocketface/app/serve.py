"""Serving the app on this machine, with the headers that WASM threads need.

It listens on the loopback interface only; docs/app.md tells how a phone reaches it. Other programs and web
pages can reach a port of this machine, so it answers by its own names only (a page whose name was rebound to
this address gets nothing), ends connections that take too long, and serves regular files only.
"""

import socket
import sys
import time
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pocketface.core.errors import PocketfaceError

ADDRESS = "127.0.0.1"
NAMES = (ADDRESS, "localhost")
"""Those that a `Host` may say, with any port: a phone's or a tunnel's may be another."""
SILENCE = 10.0
"""Seconds without a byte, after which a connection is ended."""
LONGEST = 60.0
"""Seconds, after which a connection is ended whatever it does; each has one request."""
MOST = 64
"""Connections at once; further ones are closed unanswered."""
TYPES = {
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What the page may load; page/index.html says the same to browsers where another server sends no headers."""
HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    # Both make the page "cross-origin isolated", without which a browser gives no shared memory to threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def server(site: Path, port: int) -> ThreadingHTTPServer:
    """A server of what `pocketface.app.site` wrote, bound and not yet running; port 0 takes a free one.

    Raises:
        PocketfaceError: the port is taken.
    """
    handler = partial(_Handler, served=_files(site.resolve()))
    try:
        return _Server((ADDRESS, port), handler)
    except OSError as error:
        raise PocketfaceError(f"port {port}: {error.strerror}; say another with --port") from None


class _Server(ThreadingHTTPServer):
    """A thread for each connection, for a limited time."""

    def __init__(self, *arguments: Any) -> None:
        self._opened: dict[socket.socket, float] = {}
        super().__init__(*arguments)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return len(self._opened) < MOST

    def process_request(self, request: Any, client_address: Any) -> None:
        self._opened[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._opened.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        for connection, opened in list(self._opened.items()):
            if time.monotonic() - opened > LONGEST:
                with suppress(OSError):  # it has ended by itself
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # the other side left
            super().handle_error(request, client_address)


class _Handler(SimpleHTTPRequestHandler):
    """Files of a folder: no lists of them, no hidden ones, nothing through links."""

    timeout = SILENCE
    extensions_map = SimpleHTTPRequestHandler.extensions_map | TYPES

    def __init__(self, *arguments: Any, served: dict[str, Path]) -> None:
        self._served = served
        super().__init__(*arguments)

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        hosts = self.headers.get_all("Host", [])
        if len(hosts) == 1 and hosts[0].partition(":")[0].lower() in NAMES:
            return True
        self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        return False

    def translate_path(self, path: str) -> str:
        wanted = unquote(path.partition("?")[0].partition("#")[0])
        return str(self._served.get("/index.html" if wanted == "/" else wanted, ""))

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def _files(root: Path) -> dict[str, Path]:
    """Address -> regular file, of those that are in a folder, neither hidden nor behind a link."""
    names = {file: file.relative_to(root) for file in root.rglob("*") if file.is_file()}
    return {
        f"/{name.as_posix()}": file
        for file, name in names.items()
        if file.resolve() == file and not any(part.startswith(".") for part in name.parts)
    }
