import os

import pytest
import torch

from mirscope import workers
from mirscope.errors import MirscopeError


def multiply(factor, number):
    return factor * number, os.getpid(), torch.get_num_threads()


def end(code, number):
    os._exit(code)


def test_one_process_is_this_one_and_takes_jobs_one_by_one():
    taken = []

    def jobs():
        for number in range(3):
            taken.append(number)
            yield number

    torch.set_num_threads(2)
    try:
        for number, (product, pid, n_threads) in workers.carry_out(multiply, 10, jobs(), processes=1):
            assert (product, pid, n_threads) == (10 * number, os.getpid(), 1)
            assert taken[-1] == number
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert taken == [0, 1, 2]


def test_processes_do_all_jobs():
    done = dict(workers.carry_out(multiply, 10, range(5), processes=2))
    assert {number: product for number, (product, _, _) in done.items()} == {n: 10 * n for n in range(5)}
    assert os.getpid() not in {pid for _, pid, _ in done.values()}
    assert {n_threads for _, _, n_threads in done.values()} == {1}


def test_a_killed_process_is_one_line():
    with pytest.raises(MirscopeError, match="a process was killed"):
        list(workers.carry_out(end, 3, range(5), processes=2))
