"""Runs one command as a whole process and prints what it took: `python -I -S launch.py OUT ERR COMMAND...`

A program of its own, because a new process inherits the peak memory of the one that started it (`exec_mmap`
in Linux's fs/exec.c counts the old image too). This one is small, so that it does not show in the figures.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main(stdout: str, stderr: str, *command: str) -> None:
    """`command` with its output in two files; time and memory include the processes it waited for."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [(os.POSIX_SPAWN_OPEN, 1, stdout, flags, 0o666), (os.POSIX_SPAWN_OPEN, 2, stderr, flags, 0o666)]
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=files)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    result = {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": usage.ru_maxrss * 1024,  # of the largest process, not a sum
        "code": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
