import http.client
import os
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

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
def folders(tmp_path) -> tuple[Path, Path]:
    page, bundle = tmp_path / "dist", tmp_path / "bundle"
    (page / "assets").mkdir(parents=True)
    bundle.mkdir()
    (page / "index.html").write_text("<title>pocketface</title>")
    (page / "run.wasm").write_bytes(b"\0asm")
    (bundle / "index.json").write_text("{}")
    (tmp_path / "secret.txt").write_text("secret")
    return page, bundle


@contextmanager
def running(page: Path, bundle: Path):
    with server(page, bundle, 0) as made:
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


def test_page_and_bundle_come_with_the_headers_that_threads_need(folders):
    with running(*folders) as address:
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
    page = (REPOSITORY / "app/index.html").read_text(encoding="utf-8")
    [said] = re.findall(r'"Content-Security-Policy"\s+content="([^"]+)"', page)
    assert said == serve.POLICY


@pytest.mark.parametrize("path", STRANGE)
def test_nothing_else_is_served(folders, path, capfd):
    page, bundle = folders
    (page / "link.txt").symlink_to(page.parent / "secret.txt")
    (page / "linked").symlink_to(page.parent)
    (page / "loop").symlink_to(page / "loop")
    (page / ".git").mkdir()
    for hidden in (page / ".secret", page / ".git/secret", bundle / ".secret"):
        hidden.write_text("secret")
    (page / "within.txt").symlink_to(page / ".secret")
    os.mkfifo(bundle / "pipe")
    with running(page, bundle) as address:
        answer = exchange(address, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert get(address, "/").status == 200
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 404 ")
    assert b"Set-Cookie" not in head and b"secret" not in body
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "hosts", [["evil.example"], ["127.0.0.1.evil.example:80"], [""], [], ["localhost", "evil.example"]]
)
def test_a_page_under_another_name_gets_nothing(folders, hosts):
    asked = "".join(f"Host: {host}\r\n" for host in hosts)
    with running(*folders) as address:
        answer = exchange(address, f"GET /bundle/index.json HTTP/1.1\r\n{asked}\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 421 ")
    assert not answer.endswith(b"{}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9", "localhost:8765", "LocalHost"])
def test_its_own_names_are_answered_at_any_port(folders, host):
    with running(*folders) as address:
        answer = exchange(address, f"GET /bundle/index.json HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize("request_", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_silent_connection_is_ended(folders, monkeypatch, capfd, request_):
    monkeypatch.setattr(serve._Handler, "timeout", serve._Handler.timeout / 100)
    with running(*folders) as address:
        assert exchange(address, request_) == b""
    assert capfd.readouterr().err == ""


def test_a_request_that_comes_byte_by_byte_is_ended(folders, monkeypatch, capfd):
    monkeypatch.setattr(serve, "LONGEST", 0.2)
    with running(*folders) as address, socket.create_connection(address[:2], timeout=0.05) as slow:
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


def test_a_reader_that_does_not_read_is_ended(folders, monkeypatch, capfd):
    (folders[0] / "large.bin").write_bytes(bytes(20_000_000))
    monkeypatch.setattr(serve._Handler, "timeout", 0.1)
    with running(*folders) as address, socket.create_connection(address[:2], timeout=20) as deaf:
        deaf.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1)
        got = 0
        with suppress(ConnectionError):
            while part := deaf.recv(1 << 20):
                got += len(part)
        assert got < 20_000_000
    assert capfd.readouterr().err == ""


def test_connections_beyond_the_most_are_closed(folders, monkeypatch):
    monkeypatch.setattr(serve, "MOST", 1)
    with running(*folders) as address, socket.create_connection(address[:2], timeout=20) as held:
        held.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(ConnectionError):
            assert exchange(address, b"") == b""
        held.sendall(b"Host: localhost\r\n\r\n")
        assert held.recv(12) == b"HTTP/1.0 200"


def test_a_page_that_is_not_built_is_told_with_the_command(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["app"])
    assert result.exit_code == 2
    assert "npm ci" in result.output


def test_a_missing_bundle_and_a_taken_port_are_told(folders, tmp_path):
    with pytest.raises(PocketfaceError, match="dvc repro -f export_app"):
        server(folders[0], tmp_path / "none", 0)
    with running(*folders) as address, pytest.raises(PocketfaceError, match="--port"):
        server(*folders, address[1])


def test_the_command_tells_its_address_and_the_terms_of_the_weights(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve, "PAGE", folders[0])

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serve._Server, "serve_forever", interrupted)
    result = CliRunner().invoke(app, ["app", "--port", "0", "--bundle", str(folders[1])])
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/  \(Ctrl-C ends it\)\n", result.stdout)
    [terms] = result.stderr.splitlines()
    assert Path(terms.rpartition(": ")[2]).read_text().startswith("# Terms of the published weights")
