"""`torch2flow launch`: how jobs start, what they show, and that none outlives its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ranks import run_job

pytestmark = pytest.mark.oneflow  # a job runs in the environment that has OneFlow: once is enough

ENVIRONMENT = """
import json, os, sys
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS", "no_grpc_proxy")
print(json.dumps([sys.argv[1:], {name: os.environ.get(name) for name in names}]))
"""
SUM = """
import oneflow as flow
everyone = flow.placement("cpu", list(range(flow.env.get_world_size())))
total = flow.ones(4, placement=everyone, sbp=flow.sbp.split(0)).sum().to_global(sbp=flow.sbp.broadcast)
print(total.to_local().item())
"""


def script(tmp_path: Path, text: str) -> Path:
    (tmp_path / "script.py").write_text(text)
    return tmp_path / "script.py"


def launch(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch2flow", "launch", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload, no-any-return]


def test_every_rank_knows_who_it_is(tmp_path: Path) -> None:
    ran = run_job(Path(sys.executable), 3, script(tmp_path, ENVIRONMENT), "--lr", "0.1", "-x", listens=False)
    assert ran.code == 0, ran.errors
    for rank, lines in enumerate(ran.printed):
        arguments, names = json.loads(lines[0])
        assert arguments == ["--lr", "0.1", "-x"]
        assert (names["RANK"], names["LOCAL_RANK"], names["WORLD_SIZE"]) == (str(rank), str(rank), "3")
        assert names["MASTER_ADDR"] == "127.0.0.1" and names["OMP_NUM_THREADS"] == "1"


def test_several_machines(tmp_path: Path) -> None:
    """The second machine's ranks wait for rank 0 to listen, and count on from the first's."""
    with socket.socket() as rank_0:
        rank_0.bind(("127.0.0.1", 0))
        rank_0.listen()
        port = rank_0.getsockname()[1]
        job = launch("--nproc-per-node", 2, "--nnodes", 3, "--node-rank", 1, "--master-port", port,
                     script(tmp_path, ENVIRONMENT), env={**os.environ, "http_proxy": "http://127.0.0.1:9"})  # fmt: skip
        out, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    found = sorted(line.partition("] ")[0] + "]" for line in out.splitlines())
    assert found == ["[2]", "[3]"]
    names = json.loads(out.splitlines()[0].partition("] ")[2])[1]
    assert names["WORLD_SIZE"] == "6" and names["MASTER_PORT"] == str(port) and "127.0.0.1" in names["no_grpc_proxy"]


@pytest.mark.oneflow
def test_a_proxy_in_the_environment_and_no_race_at_the_start(
    oneflow_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OneFlow's own launcher never starts with this proxy, and sleeps ten seconds when rank 1 is first."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    ran = run_job(oneflow_python, 2, script(tmp_path, SUM))
    assert ran.printed == [["4.0"], ["4.0"]], ran.errors
    assert "libibverbs" not in ran.errors and "CUDA" not in ran.errors


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("raise ValueError('broken on rank 1')", 1, "ValueError: broken on rank 1"),
        ("sys.exit(5)", 5, "exit code 5"),
        ("sys.exit('no more')", 1, "no more"),
        ("os.kill(os.getpid(), 9)", 137, "by SIGKILL: killed, perhaps for want of memory"),
        ("from torch2flow.errors import FormatError; raise FormatError('odd', where='here')", 3, "at: here"),
    ],
)
def test_one_rank_fails_and_all_end(text: str, code: int, said: str, tmp_path: Path) -> None:
    waiting = f"import os, sys, time\nif os.environ['RANK'] == '1':\n    {text}\ntime.sleep(100)"
    ran = run_job(Path(sys.executable), 3, script(tmp_path, waiting), listens=False)
    assert ran.code == code and ran.seconds < 15
    last = ran.errors.rpartition("torch2flow launch: ")[2]
    assert last.startswith("rank 1 failed") and said in last
    assert "runpy" not in ran.errors and "rank.py" not in ran.errors


def test_a_rank_that_does_not_listen_to_the_end_is_killed(tmp_path: Path) -> None:
    stubborn = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.environ["RANK"] == "0":
    time.sleep(0.5)
    sys.exit(3)
time.sleep(100)
"""
    ran = run_job(Path(sys.executable), 2, script(tmp_path, stubborn), listens=False)
    assert ran.code == 3 and ran.seconds < 15


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_rank_outlives_the_launcher(how: signal.Signals, tmp_path: Path) -> None:
    text = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(100)"
    job = launch("--nproc-per-node", 2, "--timeout", 0.1, script(tmp_path, text))
    assert job.stdout is not None
    pids = [int(job.stdout.readline().partition("] ")[2]) for _ in range(2)]
    job.send_signal(how)
    assert job.wait(timeout=15) == (-how if how == signal.SIGKILL else 128 + how)
    job.communicate()
    until = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_one_rank_runs_as_without_a_launcher(tmp_path: Path) -> None:
    ran = run_job(Path(sys.executable), 1, script(tmp_path, "import sys; print('a'); print('b', file=sys.stderr)"))
    assert (ran.code, ran.printed, ran.errors) == (0, [["a"]], "b\n")


def test_modules_and_logs(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "train.py").write_text("import sys; print(__name__, sys.argv[1])")
    job = launch("--logs", tmp_path / "logs", "--nproc-per-node", 2, "-m", "package.train", "x", cwd=tmp_path)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 0 and sorted(out.splitlines()) == ["[0] __main__ x", "[1] __main__ x"], err
    assert (tmp_path / "logs" / "rank_1.log").read_text() == "__main__ x\n"
    (tmp_path / "logs" / "rank_0.log").unlink()
    (tmp_path / "logs" / "rank_0.log").symlink_to(tmp_path / "thesis")
    job = launch("--logs", tmp_path / "logs", "--nproc-per-node", 2, "-m", "package.train", "x", cwd=tmp_path)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 5 and "rank_0.log" in err and "Traceback" not in err, err
    assert not (tmp_path / "thesis").exists()


def test_wrong_requests(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments, said in (
            (["nowhere.py"], "There is no such script"),
            (["--nnodes", "2", "--node-rank", "2", __file__], "with 2 machines they are 0 to 1"),
            (["--master-port", port, __file__], f"The port {port} is in use"),
        ):
            job = launch(*arguments)
            _, err = job.communicate(timeout=60)
            assert job.returncode == 2 and said in err
