"""Processes that share work: spawned, stopped together, none left behind."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

import torch

from mirscope.errors import MirscopeError

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Done = TypeVar("Done")


def carry_out(
    function: Callable[[Shared, Job], Done], shared: Shared, jobs: Iterable[Job], *, processes: int
) -> Iterator[tuple[Job, Done]]:
    """Jobs with what `function(shared, job)` gave, as they finish; in their order with one process, which is this one.

    A job is taken from `jobs` only when a process is free for it. Each process has one torch thread, this one too for
    the while of a job: the same numbers whatever else runs beside it.

    Args:
        function: of a module, so that another process finds it.
        shared: sent once to each process.
        jobs: what may differ from call to call.
        processes: jobs at the same time.

    Raises:
        MirscopeError: a process was killed.
    """
    if processes == 1:
        for job in jobs:
            yield job, _alone(function, shared, job)
        return
    with _pool(processes, function, shared) as pool:
        waiting, under_way = iter(jobs), dict[Future[Done], Job]()
        while True:
            for job in islice(waiting, processes - len(under_way)):
                under_way[pool.submit(_work, job)] = job
            if not under_way:
                return
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                yield under_way.pop(future), future.result()


def in_order(
    function: Callable[[Shared, Job], Done], shared: Shared, jobs: Iterable[Job], *, processes: int
) -> Iterator[Done]:
    """What `function(shared, job)` gave, in the order of `jobs`, of which a few are taken ahead; else as `carry_out`.

    With one process torch keeps its threads.
    """
    if processes == 1:
        for job in jobs:
            yield function(shared, job)
        return
    with _pool(processes, function, shared) as pool:
        under_way: deque[Future[Done]] = deque()
        for job in jobs:
            under_way.append(pool.submit(_work, job))
            if len(under_way) > 2 * processes:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _alone(function: Callable[[Shared, Job], Done], shared: Shared, job: Job) -> Done:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return function(shared, job)
    finally:
        torch.set_num_threads(n_threads)


@contextlib.contextmanager
def _pool(processes: int, *what: Any) -> Iterator[ProcessPoolExecutor]:
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # torch does not survive a fork
    with ProcessPoolExecutor(processes, context, initializer=_begin, initargs=what) as pool:
        try:
            yield pool
        except BaseException as error:  # nobody waits for what is under way any more
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                cause = "a process was killed, perhaps for lack of memory"
                raise MirscopeError(f"{cause}; go on (--resume) with fewer --threads") from error
            raise


_what: tuple[Callable[[Any, Any], Any], Any]


def _begin(function: Callable[[Shared, Job], Done], shared: Shared) -> None:
    global _what
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops us
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()  # if it was killed, nobody stops us
    torch.set_num_threads(1)
    _what = function, shared


def _work(job: Any) -> Any:
    function, shared = _what
    return function(shared, job)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
