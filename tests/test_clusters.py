"""Clusters of profiles that are known; effects of a model that needs the seed; the table; the command."""

import numpy as np
import pandas as pd
import pytest
import torch

from mirscope import clusters, models, rna
from mirscope.errors import TableError, UsageError
from mirscope.models import Model


class SeedToy(Model):
    """8 where nt 2-8 of the miRNA have their match right at the target's 5' end, a tenth of it for each nt after."""

    lengths = (20, 12)
    name = "seedtoy"

    def forward(self, mirna, target):
        fits = (3 - mirna[:, 1:8].flip(1)) == target[:, :7]
        return fits.float().sum(1)


def table(noise=0.0, per_mirna=6):
    """Three kinds of profiles, of 5, 4 and 3 miRNAs: high first, high last, high in the middle."""
    rng = np.random.default_rng(1)
    kinds = np.array([[3, 2, 1, 0, 0, 0], [0, 0, 0, 1, 2, 3], [0, 2, 3, 2, 0, 0]], float)
    rows = []
    for kind, n in enumerate((5, 4, 3)):
        for number in range(n):
            for _ in range(per_mirna):
                rows.append((f"k{kind}_{number}", *((number + 1) * kinds[kind] + noise * rng.standard_normal(6))))
    return pd.DataFrame(rows, columns=["mirna_id", *"123456"])


def test_kinds_are_found_whatever_their_height():
    found = clusters.cluster(table())
    assert list(found.table.columns) == list(clusters.COLUMNS)
    kinds = found.table["mirna_id"].str[:2]
    assert dict(zip(kinds, found.table["cluster"], strict=True)) == {"k0": 1, "k1": 2, "k2": 3}  # largest first
    assert found.table.groupby("cluster")["cluster_size"].first().tolist() == [5, 4, 3]
    np.testing.assert_allclose(found.table["silhouette"], 1)
    np.testing.assert_allclose(found.table["cluster_stability"], 1)
    assert (found.table["n_pairs"] == 6).all()
    assert (kinds != kinds.shift()).sum() == 3  # together in the tree
    assert list(found.profiles.index) == found.table["mirna_id"].tolist()
    np.testing.assert_allclose(found.profiles.loc["k0_1"], [6, 4, 2, 0, 0, 0])


def test_noise_shakes_clusters():
    firm = clusters.cluster(table(noise=0.1), n_clusters=3).table["cluster_stability"].min()
    weak = clusters.cluster(table(noise=30), n_clusters=3).table["cluster_stability"].min()
    assert firm == 1
    assert weak < clusters.FIRM
    pd.testing.assert_frame_equal(
        clusters.cluster(table(noise=3), random_state=4).table, clusters.cluster(table(noise=3), random_state=4).table
    )


def test_one_row_a_mirna_has_no_stability():
    found = clusters.cluster(table(per_mirna=1))
    assert found.table["cluster_stability"].isna().all()
    assert clusters.summary(found)[0]["stability"] is None


def test_effects_are_the_fall_of_the_score():
    """Hiding 4 nt that begin at nt 2 takes 4 of 7 matches; at nt 9 and beyond nothing."""
    mirnas = ["UGAGGUAGUAGGUUGUAUAG", "UAGCUUAUCAGACUGAUGUU", "AACCGUUACCAUUACUGAGU"]
    rows = [(f"m{i}", m, rna.reverse_complement(m[1:8]) + "AC", 1) for i, m in enumerate(mirnas) for _ in range(5)]
    rows += [("few", mirnas[0], "ACGUACGU", 1), ("m0", mirnas[0], "ACGUACGU", 0)]
    pairs = pd.DataFrame(rows, columns=["mirna_id", "mirna_seq", "target_seq", "label"])
    found = clusters.effects(SeedToy(), clusters.eligible(pairs))
    assert list(found.columns) == ["mirna_id", *map(str, range(1, 18))]
    assert found["mirna_id"].value_counts().to_dict() == {"m0": 5, "m1": 5, "m2": 5}

    def score(n):
        return 1 / (1 + np.exp(-n))

    hidden = np.array([3, 4, 4, 4, 4, 3, 2, 1] + [0] * 9)  # of nt 2-8 in the run that begins at nt 1, 2, ...
    np.testing.assert_allclose(found.iloc[:, 1:], np.tile(score(7) - score(7 - hidden), (15, 1)), atol=1e-6)
    with pytest.raises(TableError, match="0 miRNAs have 9 or more positive pairs"):
        clusters.eligible(pairs, 9)
    with pytest.raises(TableError, match="flat"):
        clusters.cluster(found.assign(**dict.fromkeys(found.columns[1:], 0.0)))


def test_table_round_trip(tmp_path):
    path = tmp_path / "effects.tsv"
    made = table(noise=0.5)
    made.to_csv(path, sep="\t", index=False)
    pd.testing.assert_frame_equal(clusters.read_effects(path), made)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "effects.tsv:1: expected a column mirna_id"),
        ("mirna\t1\t2\t3\na\t1\t2\t3\n", ":1: expected a column mirna_id"),
        ("mirna_id\t1\t2\t3\na\t1\t2\tx\n", ":2: expected a number"),
        ("mirna_id\t1\t2\t3\na\t1\t2\n", ":2: expected a number"),
        ("mirna_id\t1\t2\t3\na\t1\t2\tinf\n", ":2: expected 4 fields and finite numbers"),
    ],
)
def test_bad_tables_are_one_line(tmp_path, text, message):
    (tmp_path / "effects.tsv").write_text(text)
    with pytest.raises(TableError) as caught:
        clusters.read_effects(tmp_path / "effects.tsv")
    assert message in str(caught.value)


def test_bad_questions():
    with pytest.raises(UsageError, match="12 clusters of 12 miRNAs"):
        clusters.cluster(table(), n_clusters=12)
    with pytest.raises(TableError, match="2 miRNAs"):
        clusters.cluster(table()[lambda t: t["mirna_id"].isin(["k0_0", "k0_1"])])


def test_command(run, tmp_path):
    table(noise=0.2).to_csv(tmp_path / "effects.tsv", sep="\t", index=False)
    _, err = run("clusters --profiles effects.tsv --clusters 3 -o out --threads 1")
    assert "cluster 1: 5 miRNAs, stability 1.00" in err
    names = ["clusters.tsv", "dendrogram.pdf", "dendrogram.png", "dendrogram.svg", "profiles.tsv", "run.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert "expected either MODEL and PAIRS, or --profiles" in run("clusters dmiso -o out", code=2)[1]


def test_command_with_a_model(run, tmp_path):
    rng = np.random.default_rng(0)
    mirnas = ["".join(rng.choice(list("ACGU"), 22)) for _ in range(4)]
    rows = [(f"m{i}", m, "".join(rng.choice(list("ACGU"), 40))) for i, m in enumerate(mirnas) for _ in range(5)]
    pd.DataFrame(rows, columns=["mirna_id", "mirna_seq", "target_seq"]).to_csv(
        tmp_path / "p.tsv", sep="\t", index=False
    )
    run("clusters dmiso p.tsv --resamples 3 -o out --threads 1")
    profiles = pd.read_csv(tmp_path / "out" / "profiles.tsv", sep="\t", index_col=0)
    assert profiles.shape == (4, 19)
    model = models.load("dmiso")
    with torch.inference_mode():
        assert model(*model.encode(mirnas[:1], mirnas[:1])).isfinite().all()
