import http.client
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pocketface.app.serve import server
from pocketface.cli import app
from pocketface.core.errors import PocketfaceError


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
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield made.server_address
        finally:
            made.shutdown()
            thread.join()


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


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/bundle/../../secret.txt", "/%2e%2e/secret.txt", "/link.txt", "/assets/", "/bundle/"],
)
def test_nothing_else_is_served(folders, path):
    (folders[0] / "link.txt").symlink_to(folders[0].parent / "secret.txt")
    with running(*folders) as address:
        answer = get(address, path)
    assert answer.status == 404
    assert b"secret" not in answer.content or b"no such" in answer.content


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
