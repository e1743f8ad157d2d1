import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

import psutil
import pytest
import yaml

from fake_outs import STUDY
from pocketface.core.errors import PocketfaceError
from pocketface.running import FORKS, OF_DATASET, OF_MODEL, lanes, run, warm
from pocketface.study import Study, load_study

REPOSITORY = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(not FORKS, reason="this system cannot fork, stages run cold")

HELLO = """
import os, sys
print("hello", sys.argv[1:], os.environ.get("DVC_STAGE"), os.getppid(), file=open("hello.txt", "w"))
sys.exit(int(sys.argv[1]))
"""
SLEEP = """
import os, time, pathlib, tempfile
tempfile.mkstemp()
pathlib.Path("pid").write_text(str(os.getpid()))
time.sleep(60)
"""


@pytest.fixture
def stages(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stages").mkdir()
    for name, code in {"hello": HELLO, "sleep": SLEEP, "crash": "import os; os.abort()"}.items():
        (tmp_path / f"stages/{name}.py").write_text(code)
    return tmp_path


@pytest.mark.parametrize("status", [0, 3])
def test_a_stage_runs_in_a_fork_with_its_arguments_environment_and_status(stages, status):
    assert warm([["sh", "-c", f"DVC_STAGE=greet python stages/hello.py {status} b"]]) == status
    told = (stages / "hello.txt").read_text()
    assert told == f"hello ['{status}', 'b'] greet {os.getpid()}\n"
    assert "DVC_STAGE" not in os.environ


def test_it_prints_where_the_stage_was_started(stages, capfd):
    warm([["sh", "-c", "cd . && python stages/hello.py 0; python -c 'print(6 * 7)'"]])
    printed = capfd.readouterr().out
    assert re.search(r"^0:\d\d stages/hello.py 0$", printed, re.MULTILINE)
    assert "42" in printed, "what is no stage is Python as usual"


def test_the_folder_for_temporary_files_may_have_a_long_name(stages, monkeypatch):
    """A socket's path has at most 107 bytes."""
    long = stages / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert warm([["sh", "-c", "python stages/hello.py 0"]]) == 0
    assert (stages / "hello.txt").exists()


def test_a_stage_that_dies_is_a_failure_and_the_next_one_runs(stages):
    assert warm([["sh", "-c", "python stages/crash.py; test $? -ne 0 && python stages/hello.py 0"]]) == 0
    assert (stages / "hello.txt").exists()


def test_a_client_that_is_killed_takes_its_stage_along(stages):
    killing = "while [ ! -s pid ]; do sleep 0.05; done; kill -9 $!"
    warm([["sh", "-c", f"python stages/sleep.py & {killing}"]])
    with pytest.raises(ProcessLookupError):
        os.kill(int((stages / "pid").read_text()), 0)


def test_commands_run_side_by_side(stages):
    """Each waits for the other to begin."""
    (stages / "stages/meet.py").write_text(
        "import pathlib, sys, time; own, other = map(pathlib.Path, sys.argv[1:]); own.write_text('here')\n"
        "while not other.exists(): time.sleep(0.05)"
    )
    commands = [["python", "stages/meet.py", *names] for names in (("a", "b"), ("b", "a"))]
    assert warm([["sh", "-c", shlex.join(command)] for command in commands]) == 0


GRAPH = {"stages": {"sleep": {"cmd": "python stages/sleep.py"}, "fail": {"cmd": "python stages/hello.py 3"}}}


@pytest.fixture(scope="module")
def initialised(tmp_path_factory) -> Path:
    """An empty repository of git and DVC."""
    root = tmp_path_factory.mktemp("repository")
    for tool in (["git"], [sys.executable, "-m", "dvc"]):
        subprocess.run([*tool, "init", "-q"], check=True, cwd=root)
    return root


@pytest.fixture
def graph(stages, initialised, monkeypatch) -> Path:
    """A repository of git and DVC with two stages, nothing preloaded."""
    shutil.copytree(initialised, stages, dirs_exist_ok=True)
    (stages / "dvc.yaml").write_text(yaml.safe_dump(GRAPH))
    (stages / "params.yaml").write_text(yaml.safe_dump(STUDY))
    monkeypatch.setattr("pocketface.running.PRELOADED", ())
    return stages


def break_graph(root: Path) -> None:
    (root / "dvc.yaml").write_text("stages: [")


def break_lock(root: Path) -> None:
    (root / "dvc.lock").write_text("<<<<<<< HEAD\nschema: '2.0'\n=======\nstages: {}\n>>>>>>> other\n")


def lose_dvc(root: Path) -> None:
    (root / ".dvc").rename(root / "dvc")


def run_twice(root: Path) -> None:
    """Leaves what another run would that is at a stage's out."""
    graph = {"stages": {"sleep": GRAPH["stages"]["sleep"] | {"outs": ["pid"]}}}
    (root / "dvc.yaml").write_text(yaml.safe_dump(graph))
    holds = {str(root / "pid"): {"pid": os.getpid(), "cmd": "dvc repro"}}
    (root / ".dvc/tmp/rwlock").write_text(json.dumps({"write": holds, "read": {}}))


@pytest.mark.parametrize(
    ("prepare", "targets", "told"),
    [
        (lambda root: None, ["trian"], "'trian' not found"),
        (lambda root: None, ["fail"], "failed to run: python stages/hello.py 3"),
        (break_graph, [], "dvc.yaml' is invalid"),
        (break_lock, [], "dvc.lock' is invalid (possible merge conflicts)"),
        (lambda root: (root / "dvc.lock").touch(), ["fail"], "dvc.lock was damaged"),
        (lose_dvc, [], "not inside of a DVC repository"),
        (run_twice, [], "pid' is busy, it is being blocked by"),
    ],
)
def test_what_fails_says_why(graph, capfd, prepare, targets, told):
    prepare(graph)
    assert run(Study.model_validate(STUDY), targets) > 2
    printed = capfd.readouterr()
    assert printed.err.count(told) == 1
    assert "Traceback" not in printed.err and "Running stage" not in printed.out


def test_without_git_it_says_what_to_do(graph):
    (graph / ".git").rename(graph / "git")
    with pytest.raises(PocketfaceError, match=r"is not a git repository.*git init"):
        run(Study.model_validate(STUDY))


def start_sleeping(root: Path) -> subprocess.Popen[str]:
    """`pocketface run sleep` as the leader of a process group; the stage has begun.

    A plain shell may stay as the parent of what it runs, and so outlive DVC.
    """
    code = (
        "import pocketface.running as running; running.PRELOADED = (); from pocketface.cli import app; app()"
    )
    (root / "temporary").mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "sleep"],
        env=os.environ | {"TMPDIR": str(root / "temporary"), "SHELL": "/bin/sh"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (root / "pid").is_file() or not (root / "pid").read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process


def living(group: int) -> list[str]:
    """The processes of a group that run."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found


def left(root: Path) -> list[Path]:
    """Temporary files and folders."""
    return [*root.glob("temporary/*"), *root.glob(".dvc/tmp/pocketface/run-*")]


def test_ctrl_c_says_that_the_next_run_goes_on(graph):
    process = start_sleeping(graph)
    os.killpg(process.pid, signal.SIGINT)
    printed = process.communicate()[1]
    assert printed == "interrupted; the next `pocketface run` goes on from here\n"
    assert process.returncode == 130
    assert not living(process.pid) and not left(graph)


def test_sigterm_ends_all_and_leaves_nothing(graph):
    process = start_sleeping(graph)
    process.terminate()
    assert process.communicate(timeout=30)[1] == ""  # the stage sleeps for a minute
    assert process.returncode == 128 + signal.SIGTERM
    assert not living(process.pid) and not left(graph)


def test_all_ends_with_a_leader_that_is_killed_and_the_next_run_tidies_up(graph):
    process = start_sleeping(graph)
    assert len(living(process.pid)) >= 4, "the leader, DVC, the client, the stage, and perhaps a shell"
    process.kill()
    process.communicate()
    for _ in range(100):
        if not living(process.pid):
            break
        time.sleep(0.05)
    assert not living(process.pid)
    assert left(graph) and not list(graph.glob("temporary/*"))
    assert warm([["sh", "-c", "python stages/hello.py 0"]]) == 0
    assert not left(graph)


def test_the_lanes_make_all_but_latencies_and_the_report():
    """What the patterns of the lanes leave to plain `dvc repro`."""
    study = load_study(REPOSITORY / "studies/starter.yaml")
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        **{"cwd": REPOSITORY, "capture_output": True, "text": True, "check": True},
    ).stdout.split()
    made = lanes(OF_DATASET, list(study.datasets), 2) + lanes(OF_MODEL, list(study.models), 2)
    patterns = [pattern for lane in made for pattern in lane]
    left = {stage.partition("@")[0] for stage in listed if not any(fnmatch(stage, p) for p in patterns)}
    assert left == {"imports", "benchmark", "benchmark_fetched", "results", "report"}


def test_a_name_is_in_one_lane_in_order():
    patterns = ("first@{}", "second@{}-*")
    assert lanes(patterns, ["a", "b", "c"], 2) == [
        ["first@a", "second@a-*", "first@c", "second@c-*"],
        ["first@b", "second@b-*"],
    ]
    assert lanes(patterns, ["a"], 5) == [["first@a", "second@a-*"]]
    assert lanes(patterns, [], 2) == []


@pytest.mark.slow
def test_nothing_that_is_preloaded_starts_a_thread_of_python():
    code = (
        "import importlib, threading; from pocketface.running import PRELOADED;"
        "[importlib.import_module(name) for name in PRELOADED]; print(threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "1"
