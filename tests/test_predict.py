import logging

import numpy as np
import pandas as pd
import pytest

from mirscope import models, predict, tables
from mirscope.errors import TableError, UsageError


def sites(*rows):
    """mirna, target, score; the rest does not matter."""
    defaults = {"text": "+", "integer": 0, "number": 0.0, "score": 0.0}
    table = pd.DataFrame([{c.name: defaults[c.kind] for c in tables.SITES if c.required} for _ in rows])
    table["mirna_id"], table["target_id"], table["score"] = zip(*rows, strict=True)
    return table


SITES = sites(("b", "x", 0.5), ("a", "x", 0.9), ("b", "y", 0.5), ("b", "x", 0.5), ("a", "y", 0.9), ("b", "y", 0.6))


def test_genes_are_ranked_within_each_mirna():
    found = predict.genes(SITES)
    assert list(found.columns) == [c.name for c in tables.GENES if c.required]
    rows = [tuple(r) for r in found[["mirna_id", "target_id", "score", "n_sites", "rank"]].itertuples(index=False)]
    assert rows == [("b", "y", 0.6, 2, 1), ("b", "x", 0.5, 2, 2), ("a", "x", 0.9, 1, 1), ("a", "y", 0.9, 1, 2)]
    assert found["noisy_or"].tolist() == pytest.approx([0.8, 0.75, 0.9, 0.9])


def test_genes_by_count_and_noisy_or():
    assert predict.genes(SITES, how="count")["score"].tolist() == [2, 2, 1, 1]
    assert predict.genes(SITES, how="noisy-or")["score"].tolist() == pytest.approx([0.8, 0.75, 0.9, 0.9])
    assert predict.genes(SITES, min_sites=2)["mirna_id"].tolist() == ["b", "b"]
    assert predict.genes(SITES, min_sites=3).empty


def test_genes_by_repression_where_occupancies_are_known():
    known = SITES.assign(occupancy=[0.1, 0.2, 0.3, 0.5, 0.4, 0.1])
    found = predict.genes(known)
    rows = [tuple(row) for row in found[["mirna_id", "target_id", "rank"]].itertuples(index=False)]
    assert rows == [("b", "x", 1), ("b", "y", 2), ("a", "y", 1), ("a", "x", 2)]
    assert found["score"].tolist() == found["repression"].tolist() == pytest.approx([0.6, 0.4, 0.4, 0.2])
    assert predict.genes(known, how="max")["score"].tolist() == pytest.approx([0.6, 0.5, 0.9, 0.9])
    with pytest.raises(UsageError, match="background"):
        predict.genes(SITES, how="repression")


def test_genes_refuse_what_is_no_score():
    with pytest.raises(TableError, match=r"1\.5 in column score"):
        predict.genes(sites(("a", "x", 1.5)))


@pytest.mark.parametrize(
    ("length", "expected"),
    [(0, [0]), (7, [0]), (53, [0]), (54, [0, 1]), (68, [0, 15]), (69, [0, 15, 16]), (100, [0, 15, 30, 45, 47])],
)
def test_windows_reach_the_end(length, expected):
    assert predict.window_starts(length, 53, 15).tolist() == expected


def test_a_long_target_is_scored_by_its_best_window(caplog):
    model = models.create("seed")
    table = pd.DataFrame({"mirna_seq": ["UGAGGUAGUAGG"] * 3, "target_seq": ["C" * 99 + "CUACCUCAC", "CUACCUCA", "CCC"]})
    with caplog.at_level(logging.WARNING, "mirscope"):
        assert predict.score(model, table).tolist() == pytest.approx([0.9, 0.9, 0.1])
    assert "1 of 3 targets" in caplog.text


def test_no_pairs_no_scores():
    assert predict.score(
        models.create("mitar"), pd.DataFrame({"mirna_seq": [], "target_seq": []}, dtype=str)
    ).shape == (0,)


def test_order_of_pairs_is_irrelevant(pairs):
    model = models.create("mitar")
    order = np.random.default_rng(0).permutation(len(pairs))
    shuffled = predict.score(model, pairs.iloc[order])
    np.testing.assert_allclose(shuffled, predict.score(model, pairs)[order], atol=1e-7)
