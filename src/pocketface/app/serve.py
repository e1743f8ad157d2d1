"""Serving the app on this machine, with the headers that WASM threads need.

with server(Path("app/dist"), Path("app_bundle"), 8765) as running:
    running.serve_forever()

The built page is at `/`, the bundle at `/bundle/`. It listens on the loopback interface only; docs/app.md
tells how a phone reaches it. Nothing is ever sent to it but requests for files.
"""

import mimetypes
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from pocketface.app import INDEX
from pocketface.core.errors import PocketfaceError

ADDRESS = "127.0.0.1"
PAGE = Path("app/dist")
MOUNT = "bundle"
TYPES = {
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".tflite": "application/octet-stream",
}
HEADERS = {
    # Both make the page "cross-origin isolated", without which a browser gives no shared memory to threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def server(page: Path, bundle: Path, port: int) -> ThreadingHTTPServer:
    """A server that is bound and not yet running.

    Args:
        page: the built page, `app/dist`.
        bundle: what `export_app` wrote.
        port: of the loopback interface; 0 takes a free one.

    Raises:
        PocketfaceError: the page is not built, there is no bundle, or the port is taken.
    """
    if not (page / "index.html").is_file():
        raise PocketfaceError(
            f"{page}: the page is not built; with Node 20 or later, "
            "`npm ci --prefix app && npm run build --prefix app`"
        )
    if not (bundle / INDEX).is_file():
        raise PocketfaceError(f"{bundle}: no models for the page; `dvc repro -f export_app` brings them")
    handler = partial(_Handler, page=page.resolve(), bundle=bundle.resolve())
    try:
        return ThreadingHTTPServer((ADDRESS, port), handler)
    except OSError as error:
        raise PocketfaceError(f"port {port}: {error.strerror}; say another with --port") from None


class _Handler(SimpleHTTPRequestHandler):
    """Files of two folders, no lists of them, nothing through links out of them."""

    def __init__(self, *arguments: Any, page: Path, bundle: Path) -> None:
        self._roots = {True: bundle, False: page}
        super().__init__(*arguments, directory=str(page))

    def translate_path(self, path: str) -> str:
        parts = [part for part in PurePosixPath(unquote(urlsplit(path).path)).parts if part != "/"]
        mounted = parts[:1] == [MOUNT]
        root = self._roots[mounted]
        file = root.joinpath(*parts[mounted:]).resolve()
        return str(file if file.is_relative_to(root) else root / "no such file")

    def list_directory(self, path: object) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    def guess_type(self, path: object) -> str:
        suffix = Path(str(path)).suffix
        return TYPES.get(suffix) or mimetypes.guess_type(str(path))[0] or "application/octet-stream"

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass
