"""What leaks from train into test in a table of pairs, and how far the table is answered without reading a target.

Of hairpins: what test and train share, and how far a few numbers answer the table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mirscope import datasets, floors, metrics, runs, splits, tables
from mirscope.errors import InputError

Array = NDArray[np.float64]
_Learn = Callable[[pd.DataFrame, pd.DataFrame, int], Array]  # test, train, random_state -> scores of test

PARTS = (("test", "train"), ("valid", "train"), ("test", "valid"))
"""Whose rows are looked for where, in the order of reports."""

OVERLAPS = {
    "pair": "pair (both sequences)",
    "target": "target site (same sequence)",
    "target_20mer": f"target shares {splits.SITE_K} nt",
    "mirna_positive": "miRNA, of positives",
    "mirna_negative": "miRNA, of negatives",
    "gene": "gene",
    "mirna_gene": "miRNA with that gene",
    "mirna_named_gene": "miRNA with that gene, of pairs that name one",
}
"""What a pair of one part may have in common with another part, and its title in reports."""
HAIRPIN_OVERLAPS = {
    "hairpin": "hairpin (same sequence)",
    "hairpin_20mer": f"hairpin shares {splits.SITE_K} nt",
    "hairpin_family": f"hairpin family ({100 * splits.IDENTITY:.0f} % identity, {splits.SITE_K} nt or name)",
    "positive_family": "hairpin family, of positives",
    "negative_family": "hairpin family, of negatives",
}
"""The same of a hairpin."""

_IDENTITY_ROWS, _LENGTH_ROWS = 1, 5  # rows of the training prior that smooth a share
_MAX_ROWS = 4000  # test rows whose energy is computed
_UNSPLIT_TEST = 0.2


@dataclass(frozen=True)
class Audit:
    """What was found in a table of pairs or hairpins.

    `parts` has columns part, n, n_positive. `contents` counts what is odd in the table as a whole (see
    docs/commands/audit.md). `overlaps` has columns measure (of `OVERLAPS` or `HAIRPIN_OVERLAPS`), asked, seen, n, of,
    share: so many rows of the part asked have it in common with the part seen. `floors` has columns predictor, n,
    auroc, accuracy, sensitivity, specificity, note; NaN where a predictor cannot be had, and `note` says why. `verdict`
    is for people.
    """

    name: str
    parts: pd.DataFrame
    contents: dict[str, int]
    overlaps: pd.DataFrame = field(repr=False)
    floors: pd.DataFrame = field(repr=False)
    verdict: list[str]

    @property
    def what(self) -> str:
        """What its rows are: pairs or hairpins."""
        return "hairpins" if "hairpins" in self.contents else "pairs"

    def to_json(self) -> str:
        """Strict JSON of everything; what is undefined is null."""
        document = {
            "name": self.name,
            "verdict": self.verdict,
            "parts": self.parts.to_dict("records"),
            "contents": self.contents,
            "overlaps": self.overlaps.to_dict("records"),
            "floors": self.floors.to_dict("records"),
        }
        return json.dumps(runs.known(document), indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def count(self, measure: str, asked: str = "test", seen: str = "train") -> tuple[int, int]:
        """Rows of `overlaps` that have it in common, and of how many."""
        row = self.overlaps.query("measure == @measure and asked == @asked and seen == @seen").to_dict("records")[0]
        return row["n"], row["of"]

    def share(self, measure: str, asked: str = "test", seen: str = "train") -> float:
        """One share of `overlaps`; NaN where it cannot be had."""
        rows = self.overlaps.query("measure == @measure and asked == @asked and seen == @seen")
        return float(rows["share"].iloc[0]) if len(rows) else math.nan

    def auroc(self, predictor: str) -> float:
        """The AUROC of one of `floors`; NaN where it cannot be had."""
        return float(self.floors.set_index("predictor")["auroc"].get(predictor, math.nan))


def audit(
    pairs: pd.DataFrame,
    *,
    train: pd.DataFrame | None = None,
    name: str = "pairs",
    predictors: Collection[str] | None = None,
    threads: int = 1,
    max_rows: int = _MAX_ROWS,
    random_state: int = 0,
) -> Audit:
    """Look for leaks between the parts of a table, and for ways to answer its test part that need no biology.

    Args:
        pairs: columns of `tables.PAIRS` or `tables.HAIRPINS` with labels. Their `split` tells the parts; rows in none
            are left out. Without a split they are audited as if a fifth were drawn for test at random.
        train: pairs to learn from; all of `pairs` is then the test part, and columns `split` mean nothing.
        name: of the table, for reports.
        predictors: which of `TITLES` to compute; default all. Of hairpins always `floors.HAIRPIN_FLOORS`.
        threads: processes for the duplex energies.
        max_rows: test rows to compute energies for.
        random_state: of these rows, of the folds of `both_identities`, and of a split where there is none.

    Raises:
        TableError: a column is missing, labels included, or holds what it should not.
        InputError: no pairs in a part that is needed.
    """
    table, was_split = _parted(pairs, train, random_state)
    hairpins = "hairpin_seq" in table
    if hairpins:
        table = floors.prepared(table.assign(family=splits.groups(table, "family")))
    parts = {part: table[table["split"] == part] for part in datasets.SPLITS}
    if not len(parts["test"]) or not len(parts["train"]):
        what = "hairpins" if hairpins else "pairs"
        raise InputError(f"{len(parts['train'])} training and {len(parts['test'])} test {what}; an audit needs both")
    counts = [(part, len(rows), int(rows["label"].sum())) for part, rows in parts.items() if len(rows)]
    overlaps = pd.concat(
        [
            (_hairpin_overlaps if hairpins else _overlaps)(parts[asked], parts[seen], asked, seen)
            for asked, seen in PARTS
            if len(parts[asked]) and len(parts[seen])
        ],
        ignore_index=True,
    )
    found = Audit(
        name=name,
        parts=pd.DataFrame(counts, columns=["part", "n", "n_positive"]),
        contents=_hairpin_contents(table) if hairpins else _contents(table),
        overlaps=overlaps,
        floors=_hairpin_floors(parts["test"], parts["train"])
        if hairpins
        else _floors(parts["test"], parts["train"], predictors or TITLES, threads, max_rows, random_state),
        verdict=[],
    )
    found.verdict.extend((_hairpin_verdict if hairpins else _verdict)(found, was_split))
    return found


def _parted(pairs: pd.DataFrame, train: pd.DataFrame | None, random_state: int) -> tuple[pd.DataFrame, bool]:
    """One table with a split of train, valid and test, and whether it had one."""
    if train is not None:
        both = [_labelled(train).assign(split="train"), _labelled(pairs).assign(split="test")]
        return pd.concat(both, ignore_index=True), True
    table = _labelled(pairs)
    if "split" in table and table["split"].isin(datasets.SPLITS).any():
        return table[table["split"].isin(datasets.SPLITS)], True
    split = splits.make(table, "random", random_state=random_state, test=_UNSPLIT_TEST, valid=0)
    return table.assign(split=split), False


def _labelled(pairs: pd.DataFrame) -> pd.DataFrame:
    table = tables.labelled(pairs)
    return table if "hairpin_seq" in table else table.assign(gene_id=table.get("gene_id", ""))


def _contents(table: pd.DataFrame) -> dict[str, int]:
    """Counts in the table as a whole, whatever the parts."""
    pair = ["mirna_seq", "target_seq"]
    found = {
        "rows": len(table),
        "duplicate_rows": int(table.duplicated([*pair, "label"]).sum()),
        "pairs_with_both_labels": int((table.groupby(pair)["label"].nunique() > 1).sum()),
    }
    positives, negatives = table[table["label"] == 1], table[table["label"] == 0]
    for name, column in (("mirnas", "mirna_seq"), ("genes", "gene_id"), ("targets", "target_seq")):
        ups, downs = (set(rows.loc[rows[column] != "", column]) for rows in (positives, negatives))
        found |= {name: len(ups | downs), f"{name}_only_positive": len(ups - downs)}
        found[f"{name}_only_negative"] = len(downs - ups)
    return found | {
        "negatives": len(negatives),
        "negatives_with_mirna_never_positive": int((~negatives["mirna_seq"].isin(positives["mirna_seq"])).sum()),
        "positives": len(positives),
        "positives_with_mirna_never_negative": int((~positives["mirna_seq"].isin(negatives["mirna_seq"])).sum()),
    }


def _hairpin_contents(table: pd.DataFrame) -> dict[str, int]:
    """Counts in the table as a whole, whatever the parts."""
    labels = table.groupby("hairpin_seq")["label"].nunique()
    by_family = table.groupby("family")["label"].nunique()
    return {
        "rows": len(table),
        "hairpins": len(labels),
        "duplicate_rows": int(table.duplicated(["hairpin_seq", "label"]).sum()),
        "hairpins_with_both_labels": int((labels > 1).sum()),
        "families": len(by_family),
        "families_of_positives": int(table.loc[table["label"] == 1, "family"].nunique()),
        "families_with_both_labels": int((by_family > 1).sum()),
    }


def _hairpin_overlaps(asked: pd.DataFrame, seen: pd.DataFrame, asked_name: str, seen_name: str) -> pd.DataFrame:
    family = asked["family"].isin(seen["family"]).to_numpy()
    positive, every = asked["label"].to_numpy() == 1, np.ones(len(asked), dtype=bool)
    measured = {
        "hairpin": (asked["hairpin_seq"].isin(seen["hairpin_seq"]).to_numpy(), every),
        "hairpin_20mer": (_shares_kmer(asked["hairpin_seq"], seen["hairpin_seq"]), every),
        "hairpin_family": (family, every),
        "positive_family": (family, positive),
        "negative_family": (family, ~positive),
    }
    return _counted(measured, asked_name, seen_name)


_Measured = dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]
"""Of each measure the rows that have it, and of which."""


def _counted(measured: _Measured, asked_name: str, seen_name: str) -> pd.DataFrame:
    rows = []
    for measure, (has, of) in measured.items():
        n, total = int((has & of).sum()), int(of.sum())
        rows.append((measure, asked_name, seen_name, n, total, n / total if total else math.nan))
    return pd.DataFrame(rows, columns=["measure", "asked", "seen", "n", "of", "share"])


def _overlaps(asked: pd.DataFrame, seen: pd.DataFrame, asked_name: str, seen_name: str) -> pd.DataFrame:
    """How many rows of one part have what in common with another."""

    def common(*columns: str) -> NDArray[np.bool_]:
        keys = [pd.MultiIndex.from_frame(rows[list(columns)]) for rows in (asked, seen)]
        return np.asarray(keys[0].isin(keys[1]))

    mirna, positive = common("mirna_seq"), asked["label"].to_numpy() == 1
    names_gene, every = asked["gene_id"].to_numpy() != "", np.ones(len(asked), dtype=bool)
    genes = _has_genes(asked, seen)
    with_gene = common("mirna_seq", "gene_id")
    measured = {
        "pair": (common("mirna_seq", "target_seq"), every),
        "target": (common("target_seq"), every),
        "target_20mer": (_shares_kmer(asked["target_seq"], seen["target_seq"]), every),
        "mirna_positive": (mirna, positive),
        "mirna_negative": (mirna, ~positive),
        "gene": (common("gene_id"), names_gene),
        "mirna_gene": (with_gene, every if genes else ~every),
        "mirna_named_gene": (with_gene, names_gene),
    }
    return _counted(measured, asked_name, seen_name)


def _shares_kmer(asked: pd.Series, seen: pd.Series) -> NDArray[np.bool_]:
    rows, codes = splits.kmers(asked.tolist(), splits.SITE_K)
    known = np.unique(splits.kmers(seen.tolist(), splits.SITE_K)[1])
    found = np.zeros(len(asked), dtype=bool)
    found[rows[np.isin(codes, known)]] = True
    return found


def _has_genes(*parts: pd.DataFrame) -> bool:
    return all(floors.has(part, "gene_id") for part in parts)


# Floors. Shares of positives are smoothed by the training prior, (positives + rows * prior) / (n + rows); what was not
# seen has the prior.


def _share(asked: pd.Series, seen: pd.Series, labels: pd.Series, rows: int) -> Array:
    prior = float(labels.mean())
    counts = labels.astype(float).groupby(seen.to_numpy()).agg(["sum", "size"])
    shares = (counts["sum"] + rows * prior) / (counts["size"] + rows)
    return asked.map(shares).fillna(prior).to_numpy(dtype=float)


def _identity(column: str) -> _Learn:
    return lambda test, train, random_state: _share(test[column], train[column], train["label"], _IDENTITY_ROWS)


def _length(column: str) -> _Learn:
    def scores(test: pd.DataFrame, train: pd.DataFrame, random_state: int) -> Array:
        return _share(test[column].str.len(), train[column].str.len(), train["label"], _LENGTH_ROWS)

    return scores


def _both_identities(test: pd.DataFrame, train: pd.DataFrame, random_state: int) -> Array:
    """Boosted trees on the shares of positives of miRNA and gene; training rows have those of the other fifths."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import KFold

    def shares(asked: pd.DataFrame, seen: pd.DataFrame) -> Array:
        columns = ("mirna_seq", "gene_id")
        return np.column_stack([_share(asked[c], seen[c], seen["label"], _IDENTITY_ROWS) for c in columns])

    inside = np.empty((len(train), 2))
    for rest, held in KFold(min(5, len(train)), shuffle=True, random_state=random_state).split(inside):
        inside[held] = shares(train.iloc[held], train.iloc[rest])
    trees = HistGradientBoostingClassifier(random_state=random_state).fit(inside, train["label"])
    return np.asarray(trees.predict_proba(shares(test, train))[:, 1], dtype=float)


def _kmers(column: str) -> _Learn:
    """Balanced logistic regression on counts of 1- to 4-mers, each divided by its largest count in training."""

    def scores(test: pd.DataFrame, train: pd.DataFrame, random_state: int) -> Array:
        from sklearn.linear_model import LogisticRegression

        rows = train.groupby([column, "label"]).size().rename("n").reset_index()  # one row of weight n: same optimum
        counts = floors.kmer_counts(rows[column].tolist())
        largest = np.maximum(counts.max(0), 1)
        regression = LogisticRegression(class_weight="balanced", max_iter=1000)
        regression.fit(counts / largest, rows["label"], sample_weight=rows["n"].to_numpy(dtype=float))
        places, asked = pd.factorize(test[column])
        found = regression.predict_proba(floors.kmer_counts(list(asked)) / largest)[:, 1]
        return np.asarray(found[places], dtype=float)

    return scores


@dataclass(frozen=True)
class _Floor:
    """A predictor that learns from part of the training rows' content: `reads` are the columns it looks at.

    It calls what scores above `threshold` (None: the training prior), and with `calls_unseen` also what is just at it.
    """

    title: str
    reads: tuple[str, ...]
    learn: _Learn
    threshold: float | None = None
    calls_unseen: bool = False


FLOORS = {
    "mirna_identity": _Floor("miRNA identity", ("mirna_seq",), _identity("mirna_seq")),
    "gene_identity": _Floor("gene identity", ("gene_id",), _identity("gene_id"), calls_unseen=True),
    "both_identities": _Floor("miRNA and gene identity", ("mirna_seq", "gene_id"), _both_identities, 0.5),
    "mirna_length": _Floor("miRNA length", ("mirna_seq",), _length("mirna_seq")),
    "target_length": _Floor("target length", ("target_seq",), _length("target_seq")),
    "mirna_kmers": _Floor("miRNA k-mers", ("mirna_seq",), _kmers("mirna_seq"), 0.5),
    "target_kmers": _Floor("target k-mers", ("target_seq",), _kmers("target_seq"), 0.5),
    "site_memorised": _Floor("target site memorised", ("target_seq",), _identity("target_seq")),
}
"""The floors that learn, in the order of reports; `Audit.floors` has the seed rules and duplex energy after them."""
HAIRPIN_TITLES = {key: floor.title for key, floor in floors.HAIRPIN_FLOORS.items()}
TITLES = {key: floor.title for key, floor in FLOORS.items()} | {
    "seed_6mer": "seed 6mer",
    "seed_7mer_m8": "seed 7mer-m8",
    "seed_8mer": "seed 8mer",
    "duplex_energy": "duplex energy",
}
_FLOOR_COLUMNS = ["predictor", "n", "auroc", "accuracy", "sensitivity", "specificity", "note"]
_SEED_RANKS = {"seed_6mer": 2, "seed_7mer_m8": 4, "seed_8mer": 5}  # least rank of `floors.seed_class`


def _floors(
    test: pd.DataFrame,
    train: pd.DataFrame,
    predictors: Collection[str],
    threads: int,
    max_rows: int,
    random_state: int,
) -> pd.DataFrame:
    """A row for each of the predictors, in the order of `TITLES`."""
    rows, prior = [], float(train["label"].mean())
    ranks = floors.seed_class(test) if _SEED_RANKS.keys() & set(predictors) else np.empty(0)
    for key in (key for key in TITLES if key in predictors):
        if key == "duplex_energy":
            drawn = test.sample(max_rows, random_state=random_state) if len(test) > max_rows else test
            rows.append(_row(key, drawn["label"], floors.duplex_energy(drawn, threads=threads)))
        elif key in _SEED_RANKS:
            calls = ranks >= _SEED_RANKS[key]
            rows.append(_row(key, test["label"], calls, calls))
        elif lacks := _lacks(key, test, train):
            rows.append({"predictor": key, "n": 0, "note": lacks})
        else:
            floor = FLOORS[key]
            scores = floor.learn(test, train, random_state)
            above = prior if floor.threshold is None else floor.threshold
            rows.append(_row(key, test["label"], scores, scores >= above if floor.calls_unseen else scores > above))
    return pd.DataFrame(rows, columns=_FLOOR_COLUMNS)


def _hairpin_floors(test: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """A row for each of `floors.HAIRPIN_FLOORS`."""
    rows, scores = [], floors.all_floors(test, train)
    for key in HAIRPIN_TITLES:
        if train["label"].nunique() < 2:
            rows.append({"predictor": key, "n": 0, "note": "labels of one class in train"})
            continue
        values = scores[key].to_numpy()
        rows.append(_row(key, test["label"], values, values >= floors.threshold(key, test, values, train)))
    return pd.DataFrame(rows, columns=_FLOOR_COLUMNS)


def _lacks(key: str, test: pd.DataFrame, train: pd.DataFrame) -> str:
    """Why a floor cannot be had; empty where it can."""
    reads = FLOORS[key].reads
    if train["label"].nunique() < 2:
        return "labels of one class in train"
    if "gene_id" in reads and not _has_genes(test, train):
        return "no gene ids"
    if key.endswith("_length") and test[reads[0]].str.len().nunique() == 1:
        return "constant"
    return ""


def _row(key: str, labels: pd.Series, scores: ArrayLike, calls: ArrayLike | None = None) -> dict[str, Any]:
    row = {"predictor": key, "n": len(labels), "note": "", "auroc": metrics.auroc_score(labels, scores)}
    if calls is not None:
        row["accuracy"] = metrics.accuracy_score(labels, calls)
        row["sensitivity"] = metrics.sensitivity_score(labels, calls)
        row["specificity"] = metrics.specificity_score(labels, calls)
    return row


# The verdict: sentences for people who know biology, not machine learning.

_SEVERE, _CLEAR, _SLIGHT = 0.85, 0.65, 0.57  # AUROC, or 1 - AUROC, of a floor that sees one side only
_ONE_SIDED = tuple(FLOORS)
_MANY, _SOME = 0.2, 0.02  # share of test rows


def _verdict(found: Audit, was_split: bool) -> list[str]:
    said = [_headline(found)]
    said += _unsplit(was_split)
    for sentences in (_repeats, _copies, _sides, _shapes, _honest):
        said += sentences(found)
    return said + _advice(found)


def _away(auroc: float) -> float:
    """How far from guessing, whichever way round; 0.5 is guessing."""
    return 0.5 if math.isnan(auroc) else max(auroc, 1 - auroc)


def _worst(found: Audit) -> tuple[str, float]:
    known = {name: found.auroc(name) for name in _ONE_SIDED if not math.isnan(found.auroc(name))}
    key = max(known, key=lambda name: _away(known[name]), default="")
    return key, known.get(key, math.nan)


_WITHOUT = {
    "mirna_identity": "knowing only which miRNA it is, and no target,",
    "gene_identity": "knowing only which gene it is, and no miRNA,",
    "both_identities": "knowing only the names of miRNA and gene, and no sequence,",
    "mirna_length": "knowing only how long the miRNA is",
    "target_length": "knowing only how long the target is",
    "mirna_kmers": "reading only the miRNA, and no target,",
    "target_kmers": "reading only the target, and no miRNA,",
    "site_memorised": "remembering the labels of training sites, and no miRNA,",
}


def _headline(found: Audit) -> str:
    key, auroc = _worst(found)
    if math.isnan(auroc):
        return "Nothing can be ranked: expected positives and negatives in train and in test."
    turned = f", which is {1 - auroc:.3f} turned round" if auroc < 0.5 else ""
    way = f"{_WITHOUT[key]} ranks the test pairs with AUROC {auroc:.3f}{turned} (0.5 is guessing, 1 is perfect)"
    copies = max(_zero(found.share("pair")), _zero(found.share("target")))
    if _away(auroc) >= _SEVERE:
        return f"Not fit to show that a model finds targets: {way}."
    if _away(auroc) >= _CLEAR or copies >= _MANY:
        return f"To be used with care: {way}; a model shows what it is beyond that."
    if _away(auroc) >= _SLIGHT or copies >= _SOME:
        return f"Small leaks: {way}."
    return f"No leak of note: at best {way}."


def _zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _unsplit(was_split: bool) -> list[str]:
    note = "The table has no split; what follows is what a random one (80 % train, 20 % test) would let through."
    return [] if was_split else [note]


def _duplicates(found: Audit) -> list[str]:
    n = found.contents["duplicate_rows"]
    return [f"{n:,} rows repeat an earlier row: keep one of each before splitting."] if n else []


def _repeats(found: Audit) -> list[str]:
    said = _duplicates(found)
    if found.contents["pairs_with_both_labels"]:
        n = found.contents["pairs_with_both_labels"]
        said.append(f"{n:,} pairs are listed both as bound and as not bound: no model can be right on both; drop them.")
    return said


def _copies(found: Audit) -> list[str]:
    said = []
    pair, same, near = found.share("pair"), found.share("target"), found.share("target_20mer")
    if pair:
        n, of = found.count("pair")
        said.append(f"{n:,} of {of:,} test pairs ({_percent(pair)}) are also in train: their answer has been seen.")
    if near >= _SOME:
        said.append(
            f"{_percent(same)} of test targets are a training site, {_percent(near)} share {splits.SITE_K} nt with "
            "one: the test asks for sites that have been seen."
        )
    memory = found.auroc("site_memorised")
    if _away(memory) >= _SLIGHT:
        turned = "; below 0.5, because a site's other rows mostly have the other label" if memory < 0.5 else ""
        said.append(f"Remembering the label of each training site gives AUROC {memory:.3f}{turned}.")
    genes = found.share("mirna_gene")
    if genes >= _SOME:
        said.append(f"{_percent(genes)} of test pairs have a miRNA and gene that stand together in train already.")
    return said


def _sides(found: Audit) -> list[str]:
    said, contents = [], found.contents
    positives, negatives = found.share("mirna_positive"), found.share("mirna_negative")
    if abs(positives - negatives) >= 0.1:
        unknown = "not to bind" if positives > negatives else "to bind"
        said.append(
            f"{_percent(positives)} of test positives but {_percent(negatives)} of test negatives have a miRNA of "
            f"train: a miRNA that train has not shown may be guessed {unknown}."
        )
    for n, of, what in (
        ("negatives_with_mirna_never_positive", "negatives", "negatives have a miRNA that is never a positive"),
        ("positives_with_mirna_never_negative", "positives", "positives have a miRNA that is never a negative"),
    ):
        share = contents[n] / contents[of] if contents[of] else 0.0
        if share >= _SOME:
            said.append(f"{_percent(share)} of {what}: the miRNA gives those away.")
    for key, what in (("mirna_identity", "miRNA"), ("gene_identity", "gene")):
        auroc = found.auroc(key)
        if _away(auroc) >= _SLIGHT:
            how = (
                f"how often a {what} was positive in train foretells the test labels"
                if auroc > 0.5
                else f"a {what} that was mostly positive in train is mostly negative in test"
            )
            said.append(f"By {what} alone AUROC {auroc:.3f}: {how}.")
    one_sided = contents["genes_only_positive"] + contents["genes_only_negative"]
    if contents["genes"] and one_sided / contents["genes"] >= _MANY and _away(found.auroc("gene_identity")) >= _SLIGHT:
        said.append(
            f"Of {contents['genes']:,} genes {contents['genes_only_positive']:,} are only ever positive and "
            f"{contents['genes_only_negative']:,} only ever negative."
        )
    return said


def _shapes(found: Audit) -> list[str]:
    said = []
    for key, what in (("mirna_length", "miRNAs"), ("target_length", "targets")):
        if _away(found.auroc(key)) >= _SLIGHT:
            said.append(f"Positive and negative {what} differ in length: AUROC {found.auroc(key):.3f} by that alone.")
    for key, what in (("mirna_kmers", "miRNAs"), ("target_kmers", "targets")):
        if _away(found.auroc(key)) >= _SLIGHT:
            said.append(f"Composition of the {what} alone (1- to 4-mers) gives AUROC {found.auroc(key):.3f}.")
    return said


def _honest(found: Audit) -> list[str]:
    energy, rows = found.auroc("duplex_energy"), found.floors.set_index("predictor").to_dict("index")
    seed = rows.get("seed_6mer")
    if math.isnan(energy) or seed is None:
        return []
    return [
        f"What needs no training: duplex energy AUROC {energy:.3f}; a 6mer seed finds "
        f"{_percent(seed['sensitivity'])} of positives and passes over {_percent(seed['specificity'])} of negatives. "
        "A model has to beat these."
    ]


def _advice(found: Audit) -> list[str]:
    said = []
    if found.share("target_20mer") >= _SOME or _zero(found.share("mirna_gene")) >= _SOME:
        said.append("To do: split by gene and by cluster of sites, so that no test site has been seen.")
    if _away(found.auroc("mirna_identity")) >= _SLIGHT:
        said.append(
            "To do: pair the negatives anew, every miRNA and every site as often negative as positive within each "
            "part; test on miRNA families that train has not seen."
        )
    return said


def _hairpin_verdict(found: Audit, was_split: bool) -> list[str]:
    relatives, both = found.share("positive_family"), found.contents["hairpins_with_both_labels"]
    key = max(HAIRPIN_TITLES, key=lambda name: _away(found.auroc(name)))
    best = found.auroc(key)
    if math.isnan(best):
        return ["Nothing can be ranked: expected positives and negatives in train and in test."]
    said = []
    if relatives >= _SOME:
        n, of = found.count("positive_family")
        much = "Not fit to show that a model finds new pre-miRNAs" if relatives >= _MANY else "To be used with care"
        said.append(f"{much}: {n:,} of {of:,} positives of test ({_percent(relatives)}) have a relative in train.")
    else:
        said.append("No leak of note: the positives of test have no relatives in train.")
    said += [*_unsplit(was_split), *_duplicates(found)]
    if both:
        said.append(f"{both:,} hairpins have both labels: no model can be right on both; drop them.")
    if found.count("hairpin")[0]:
        n, of = found.count("hairpin")
        share = _percent(found.share("hairpin"))
        said.append(f"{n:,} of {of:,} test hairpins ({share}) are also in train: their answer has been seen.")
    mixed = found.contents["families_with_both_labels"]
    if mixed:
        said.append(f"{mixed:,} families hold positives and negatives: some of the negatives may be pre-miRNAs.")
    for name, what in (("length", "length"), ("gc_share", "share of G and C"), ("hairpin_kmers", "1- to 4-mers")):
        if _away(found.auroc(name)) >= _SLIGHT:
            said.append(f"Positives and negatives differ in {what}: AUROC {found.auroc(name):.3f} by that alone.")
    said.append(f"Without a network {HAIRPIN_TITLES[key]} ranks test with AUROC {best:.3f}: a model has to beat that.")
    if relatives >= _SOME:
        said.append("To do: split by family (--rule family), so that no test hairpin has a relative in train.")
    return said


Table = tuple[Sequence[str], list[Sequence[str]]]


def report(found: Audit) -> list[Table]:
    """The tables to print, each a header and rows of text: parts, counts in the table, overlaps, floors."""
    columns = list(dict.fromkeys(zip(found.overlaps["asked"], found.overlaps["seen"], strict=True)))
    cells = {
        (row["measure"], row["asked"], row["seen"]): f"{row['n']:,} ({_percent(row['share'])})" if row["of"] else "-"
        for row in found.overlaps.to_dict("records")
    }
    shown = {key for key in found.contents if found.contents.get("genes") or not key.startswith("genes")}
    titles, asked_of = TITLES | HAIRPIN_TITLES, OVERLAPS | HAIRPIN_OVERLAPS
    overlaps = {key: asked_of[key] for key in found.overlaps["measure"].unique()}
    measures = ("auroc", "accuracy", "sensitivity", "specificity")
    floor_rows: list[Sequence[str]] = [
        (titles[row["predictor"]], *(_figure(row[m]) for m in measures), row["note"] or f"{row['n']:,} {found.what}")
        for row in found.floors.to_dict("records")
    ]
    return [
        (("part", found.what, "positives"), [(part, f"{n:,}", f"{up:,}") for part, n, up in found.parts.to_numpy()]),
        (("in the table", "n"), [(_words(key), f"{n:,}") for key, n in found.contents.items() if key in shown]),
        (
            ("rows with the same", *(f"{asked} in {seen}" for asked, seen in columns)),
            [(title, *(cells[(key, *column)] for column in columns)) for key, title in overlaps.items()],
        ),
        (("without a model", "AUROC", *measures[1:], "on"), floor_rows),
    ]


def _words(key: str) -> str:
    return key.replace("_", " ").replace("mirna", "miRNA")


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
