import http.client
import json
import os
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pocketface import published
from pocketface.app import serve
from pocketface.app.serve import server
from pocketface.cli import app
from pocketface.core.errors import PocketfaceError

REPOSITORY = Path(__file__).parents[2]
STRANGE = f"""
    /../secret.txt /bundle/../../secret.txt /%2e%2e/secret.txt /bundle/..%2f..%2fsecret.txt
    /link.txt /within.txt /linked/secret.txt /loop /assets/ /assets /bundle/ /bundle
    /.secret /.git/secret /bundle/.secret /bundle/%2esecret /bundle/pipe
    /%00 /index.html%00 /bundle/%00/x /%ff /%0d%0aSet-Cookie:x http://[/ //[ * secret.txt
    /{"x" * 300} /{"x/" * 3000}
""".split()


@pytest.fixture
def folder(tmp_path) -> Path:
    site = tmp_path / "site"
    (site / "bundle").mkdir(parents=True)
    (site / "assets").mkdir()
    (site / "index.html").write_text("<title>pocketface</title>")
    (site / "run.wasm").write_bytes(b"\0asm")
    (site / "bundle/index.json").write_text("{}")
    (tmp_path / "secret.txt").write_text("secret")
    return site


@contextmanager
def running(site: Path):
    with server(site, 0) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield made.server_address
        finally:
            made.shutdown()
            thread.join()


def exchange(address, request: bytes) -> bytes:
    """All that comes back until the other side closes; a connection that is held fails by its timeout."""
    with socket.create_connection(address[:2], timeout=20) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def get(address, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(*address[:2], timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.content = answer.read()
    connection.close()
    return answer


def test_page_and_bundle_come_with_the_headers_that_threads_need(folder):
    with running(folder) as address:
        assert address[0] == "127.0.0.1"
        page, wasm, index = (get(address, path) for path in ("/", "/run.wasm", "/bundle/index.json"))
    assert b"pocketface" in page.content
    assert index.content == b"{}"
    assert wasm.getheader("Content-Type") == "application/wasm"
    for answer in (page, wasm, index):
        assert answer.status == 200
        assert answer.getheader("Cross-Origin-Opener-Policy") == "same-origin"
        assert answer.getheader("Cross-Origin-Embedder-Policy") == "require-corp"
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Content-Security-Policy").endswith("; frame-ancestors 'none'")


def test_the_policy_is_the_one_that_the_page_says_itself():
    page = (REPOSITORY / "src/pocketface/app/page/index.html").read_text(encoding="utf-8")
    [said] = re.findall(r'"Content-Security-Policy"\s+content="([^"]+)"', page)
    assert said == serve.POLICY


@pytest.mark.parametrize("path", STRANGE)
def test_nothing_else_is_served(folder, path, capfd):
    page, bundle = folder, folder / "bundle"
    (page / "link.txt").symlink_to(page.parent / "secret.txt")
    (page / "linked").symlink_to(page.parent)
    (page / "loop").symlink_to(page / "loop")
    (page / ".git").mkdir()
    for hidden in (page / ".secret", page / ".git/secret", bundle / ".secret"):
        hidden.write_text("secret")
    (page / "within.txt").symlink_to(page / ".secret")
    os.mkfifo(bundle / "pipe")
    with running(folder) as address:
        answer = exchange(address, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert get(address, "/").status == 200
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 404 ")
    assert b"Set-Cookie" not in head and b"secret" not in body
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "hosts", [["evil.example"], ["127.0.0.1.evil.example:80"], [""], [], ["localhost", "evil.example"]]
)
def test_a_page_under_another_name_gets_nothing(folder, hosts):
    asked = "".join(f"Host: {host}\r\n" for host in hosts)
    with running(folder) as address:
        answer = exchange(address, f"GET /bundle/index.json HTTP/1.1\r\n{asked}\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 421 ")
    assert not answer.endswith(b"{}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9", "localhost:8765", "LocalHost"])
def test_its_own_names_are_answered_at_any_port(folder, host):
    with running(folder) as address:
        answer = exchange(address, f"GET /bundle/index.json HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize("request_", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_silent_connection_is_ended(folder, monkeypatch, capfd, request_):
    monkeypatch.setattr(serve._Handler, "timeout", serve._Handler.timeout / 100)
    with running(folder) as address:
        assert exchange(address, request_) == b""
    assert capfd.readouterr().err == ""


def test_a_request_that_comes_byte_by_byte_is_ended(folder, monkeypatch, capfd):
    monkeypatch.setattr(serve, "LONGEST", 0.2)
    with running(folder) as address, socket.create_connection(address[:2], timeout=0.05) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(400):
            try:
                slow.sendall(b"x")
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("held")
        assert get(address, "/").status == 200
    assert capfd.readouterr().err == ""


def test_a_reader_that_does_not_read_is_ended(folder, monkeypatch, capfd):
    (folder / "large.bin").write_bytes(bytes(20_000_000))
    monkeypatch.setattr(serve._Handler, "timeout", 0.1)
    with running(folder) as address, socket.create_connection(address[:2], timeout=20) as deaf:
        deaf.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1)
        got = 0
        with suppress(ConnectionError):
            while part := deaf.recv(1 << 20):
                got += len(part)
        assert got < 20_000_000
    assert capfd.readouterr().err == ""


def test_connections_beyond_the_most_are_closed(folder, monkeypatch):
    monkeypatch.setattr(serve, "MOST", 1)
    with running(folder) as address, socket.create_connection(address[:2], timeout=20) as held:
        held.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(ConnectionError):
            assert exchange(address, b"") == b""
        held.sendall(b"Host: localhost\r\n\r\n")
        assert held.recv(12) == b"HTTP/1.0 200"


def test_a_taken_port_is_told(folder):
    with running(folder) as address, pytest.raises(PocketfaceError, match="--port"):
        server(folder, address[1])


@pytest.fixture
def outside(tmp_path, monkeypatch) -> Path:
    """A folder that is no repository, with a runtime that has been fetched."""
    (tmp_path / "litert").mkdir()
    (tmp_path / "litert/index.js").write_text("runs")
    monkeypatch.setattr("pocketface.app.runtime.runtime", lambda: tmp_path / "litert")
    (tmp_path / "outside").mkdir()
    monkeypatch.chdir(tmp_path / "outside")
    return tmp_path / "outside"


def terms_in(told: str) -> str:
    [terms] = told.splitlines()
    return Path(terms.rpartition(": ")[2]).read_text()


def test_the_command_serves_the_published_models_anywhere_and_tells_their_terms(outside, monkeypatch):
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serve._Server, "serve_forever", interrupted)
    result = CliRunner().invoke(app, ["app", "--port", "0"])
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/  \(Ctrl-C ends it\)\n", result.stdout)
    assert terms_in(result.stderr).startswith("# Terms of the published weights")
    assert list(outside.iterdir()) == []


def test_the_command_exports_a_site_of_relative_paths(outside):
    result = CliRunner().invoke(app, ["app", "--export", "site"])
    assert result.exit_code == 0, result.output
    assert (outside / "site/.nojekyll").is_file()
    index = json.loads((outside / "site/bundle/index.json").read_text())
    assert len(index["variants"]) == len(list(published.folder().glob("*/int8")))
    for path in (outside / "site").glob("*.*"):
        if path.suffix in (".html", ".js", ".css", ".webmanifest"):
            assert not re.search(r"""(src|href|from|fetch\()[=\s"']+/""", path.read_text()), path
