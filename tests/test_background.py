"""Rates of false sites: against laws known by hand, against the plain definitions, and on fresh shuffles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirscope import io, models, scan
from mirscope.background import TAIL, Background, QValues, shuffled
from mirscope.io import Record

MIRNA = np.zeros(1, dtype=np.int64)


def exponential(n, scale=0.5, state=0):
    drawn = 2 + scale * np.random.default_rng(state).exponential(size=n)
    return Background((-np.sort(-drawn).astype(np.float32),), n_kb=n / 4)  # 4 a kb at a logit of 2


def test_rates_are_those_of_the_law_the_sites_were_drawn_from():
    background = exponential(8000)
    at = np.array([2.2, 3.0, 4.0, 5.5], dtype=np.float32)  # the last beyond the tail
    found = background.fp_per_kb(np.zeros(len(at), np.int64), at)
    assert found == pytest.approx(4 * np.exp(-(at - 2) / 0.5), rel=0.8)
    assert found[:3] == pytest.approx(4 * np.exp(-(at[:3] - 2) / 0.5), rel=0.1)
    assert (np.diff(found) < 0).all()


@given(st.floats(1e-6, 3.9), st.integers(TAIL + 1, 500))
def test_the_least_logit_has_the_rate_asked_for(rate, n):
    background = exponential(n)
    [least] = background.least(rate)
    assert background.fp_per_kb(MIRNA, np.array([least], np.float64)) == pytest.approx(rate, rel=1e-3)


def test_equal_sites_all_count():
    background = Background((np.array([3.0] * 30 + [1.0] * 70, np.float32),), n_kb=10.0)
    assert background.fp_per_kb(np.zeros(2, np.int64), np.array([3.0, 1.0], np.float32)) == pytest.approx([3, 10])
    assert background.fp_per_kb(MIRNA, np.array([0.0], np.float32)) == pytest.approx(10)  # of all, below all


def test_sites_called_are_counted():
    background = Background((np.array([3, 2, 2, 1], np.float32), np.empty(0, np.float32)), n_kb=2.0)
    assert [background.rate(0, least) for least in (2.5, 2.0, 1.5, -9.0)] == [0.5, 1.5, 1.5, 2.0]
    [beyond] = background.fp_per_kb(MIRNA, np.array([4.0], np.float32))
    assert background.rate(0, 4.0) == beyond < 0.5
    assert background.rate(1, 0.0) == pytest.approx(1 / 2)


def test_a_mirna_without_shuffled_sites_has_at_most_one():
    background = Background((np.empty(0, np.float32),), n_kb=50.0)
    assert background.fp_per_kb(MIRNA, np.array([1.0], np.float32)) == pytest.approx(1 / 50)


@given(st.lists(st.floats(1e-4, 3), min_size=1, max_size=60), st.floats(0.1, 1000))
def test_q_values_are_those_of_benjamini_and_hochberg(rates, n_kb):
    rates = np.array(rates)
    q_values = QValues(2)
    half = len(rates) // 2
    for part in (rates[:half], rates[half:]):  # in any portions
        q_values.add(np.ones(len(part), np.int64), part)
    found = q_values.over(n_kb)(np.ones(len(rates), np.int64), rates)
    for rate, q in zip(rates, found, strict=True):
        worse = rates[rates >= rate]
        plain = min(1.0, min(other * n_kb / (rates <= other).sum() for other in worse))
        assert plain * 0.97 <= q <= min(1.0, plain * 1.03)  # bins of a hundredth of a decade


def test_shuffles_are_so_many_of_all_transcripts():
    rng = np.random.default_rng(0)
    records = [Record(str(n), "".join(rng.choice(list("ACGU"), length))) for n, length in enumerate([50, 200, 2000])]
    total = sum(len(record.sequence) for record in records)
    many = list(shuffled(records, 10 * total, total_nt=total))
    assert [len(record.sequence) for record in many] == [50] * 10 + [200] * 10 + [2000] * 10
    assert len({record.sequence for record in many}) == len({record.id for record in many}) == 30
    few = [sum(len(r.sequence) for r in shuffled(records, 300, total_nt=total, random_state=s)) for s in range(300)]
    assert np.mean(few) == pytest.approx(300, rel=0.35)


@pytest.mark.parametrize("rate", [0.2, 0.8])
def test_fresh_shuffles_hold_as_many_sites_as_asked_for(rate, data_path):
    mirnas = io.read_fasta(data_path("hsa_mature_mirbase22"))[::90]
    records = list(io.iter_fasta(data_path("human_3utr_mirmark"), unique=False))[:150]
    records = [Record(f"{number}", record.sequence) for number, record in enumerate(records)]
    total = sum(len(record.sequence) for record in records)
    settings = scan.Settings(fp_per_kb=rate, background=100_000, duplexes=False)
    model = models.load("duplex")
    background = scan.shuffled_sites(model, mirnas, records, settings=settings)
    fresh = list(shuffled(records, 100_000, total_nt=total, random_state=7))
    n_sites = len(scan.scan(model, mirnas, fresh, settings=settings, background=background))
    measured = n_sites / len(mirnas) / (sum(len(record.sequence) for record in fresh) / 1000)
    assert rate / 1.3 < measured < rate * 1.3
