"""What CI takes from elsewhere is named exactly, and is asked about."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SINCE = {"introduced": "0"}


def test_actions_are_named_by_commit_and_uv_by_version():
    workflows = [path.read_text(encoding="utf-8") for path in REPOSITORY.glob(".github/workflows/*.yml")]
    used = [line for text in workflows for line in text.splitlines() if "uses:" in line]
    assert len(used) > 3
    for line in used:
        assert re.fullmatch(r" +- uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    assert all(text.count("setup-uv@") == text.count("version-file: .ci/uv.txt") for text in workflows)
    assert re.fullmatch(r"uv==\d+\.\d+\.\d+\n", (REPOSITORY / ".ci/uv.txt").read_text())
    installed = re.findall(r"pip\S* install.*", (REPOSITORY / ".ci/run").read_text())
    assert installed == ['pip" install --quiet --requirement .ci/uv.txt']


def test_the_browser_tests_run_in_ci(request):
    lines = (REPOSITORY / ".ci/run").read_text().splitlines()
    assert {"uv run --locked pytest", "uv run --locked pytest -m browser"} <= set(lines)
    assert "not slow and not browser" in request.config.getini("addopts")


@contextmanager
def osv(known: dict[str, list[dict[str, str]]]) -> Iterator[str]:
    """A database like osv.dev that knows vulnerabilities of tqdm: id -> when it came and was mended."""
    modified = {"modified": "2026-01-01T00:00:00Z"}

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            found = [{"id": name} | modified for name in known]
            self.answer(
                {"results": [{"vulns": found} if q["package"]["name"] == "tqdm" else {} for q in queries]}
            )

        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            affected = {
                "package": {"ecosystem": "PyPI", "name": "tqdm"},
                "ranges": [{"type": "ECOSYSTEM", "events": known[name]}],
            }
            self.answer({"id": name, "summary": f"about {name}", "affected": [affected]} | modified)

        def answer(self, said: object) -> None:
            content = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def audited(url: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("uv") is None:
        pytest.skip("no uv here")
    command = [sys.executable, ".ci/audit.py", "--no-cache", "--service-url", url]
    alone = {**os.environ, "NO_PROXY": "127.0.0.1", "UV_HTTP_RETRIES": "0"}
    return subprocess.run(command, cwd=REPOSITORY, env=alone, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("known", "status", "said"),
    [
        ({}, 0, "packages, 0 vulnerabilities that have a fix"),
        ({"GHSA-open": [SINCE]}, 0, "GHSA-open, no fix yet: 'about GHSA-open'"),
        ({"GHSA-mended": [SINCE, {"fixed": "99.0"}]}, 1, "GHSA-mended, fixed in 99.0: 'about GHSA-mended'"),
    ],
)
def test_a_known_vulnerability_fails_the_audit_once_it_has_a_fix(known, status, said):
    with osv(known) as url:
        done = audited(url)
    assert (done.returncode, done.stderr) == (status, "")
    assert said in done.stdout


def test_a_database_out_of_reach_is_told_by_a_status_of_its_own():
    done = audited("http://127.0.0.1:1/")
    assert done.returncode == 2
    assert done.stderr.startswith("not audited: ")
