"""Memory and time of a command and all its processes, and the tables of them."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import threading
import time
from pathlib import Path

CORES = len(os.sched_getaffinity(0))


def peak_memory(command: list[str]) -> float:
    """Run a command; the most memory (proportional set size, MB) of it and its children."""
    process = subprocess.Popen(command)
    peak = 0.0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, sum(map(memory, family(process.pid))))
            time.sleep(1)

    thread = threading.Thread(target=watch)
    thread.start()
    if process.wait():
        raise SystemExit(f"failed: {' '.join(command)}")
    thread.join()
    return peak


def family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in family(int(child)))]


def memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def cpu_seconds() -> float:
    """Of all processes that were waited for: on a machine that others use too, what a command takes of a core."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_speed(page: Path, header: str, rows: list[str]) -> None:
    """Write a table between the marks of speed on a page: names of columns with | between, and lines of Markdown."""
    table = f"| {header} |\n|{' --- |' * (header.count('|') + 1)}\n{''.join(rows)}"
    text, n = re.subn(
        r"(<!-- speed -->\n).*(<!-- /speed -->)",
        lambda found: found[1] + table + found[2],
        page.read_text(),
        flags=re.DOTALL,
    )
    assert n == 1
    page.write_text(text)
