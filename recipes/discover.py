"""Pre-miRNAs in scan conditions: what `mirscope discover` finds of hairpins it never saw, at what rate of false loci.

    python recipes/hairpin.py      # once: the networks with the families of a fifth of the human hairpins held out
    python recipes/discover.py

Every human hairpin of miRBase is planted at a random place and strand of two pieces of the human genome, which are also
searched as they are, as are 3'UTRs of the fly (nothing was taught on either) and shuffles of the pieces. Known human
miRNAs of the pieces do not count as false. The candidates are found and folded once (results/discover); the models
score them. Writes the tables of docs/discover.md and docs/images/discover.svg.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from mirscope import cli, datasets, discover, floors, io, models, plot, rna
from mirscope.background import shuffled
from mirscope.io import Record
from mitar import markdown
from scan_rates import put

RESULTS = Path("results/discover")
PAGE = Path("docs/discover.md")
CONTEXT = 500
"""nt of the genome on both sides of a planted hairpin: what candidates depend on."""
N_SHUFFLED = 1_000_000
N_FLY = 1_000_000
FOUND, FOUND_MATURE = 0.5, 0.9
"""Shares of a hairpin, and of what lies from its first mature nt to its last, that the locus covers."""
RATES = (0.5, 1, 5, 20, 100)
"""False loci per Mb, both strands."""
PER_MB = (0.5, 10.0)
"""Pre-miRNAs in a Mb, for which precision is stated: about miRBase's human ones; a cluster-rich stretch."""
FOLDED = (100, 200, 500, 1000, 2000)

Scores = Callable[[pd.DataFrame], NDArray[np.float64]]


@dataclass(frozen=True)
class Part:
    """A model, and the planted hairpins that it is asked about."""

    scores: Scores
    """Of a table with hairpin_seq and structure."""
    hairpins: set[str]


def main() -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    found = {kind: candidates(kind) for kind in KINDS}
    print({kind: len(table) for kind, table in found.items()}, flush=True)
    texts = {"prefilter": prefilter()}
    rows, stems, curves = [], [], []
    for name, parts in contestants().items():
        recall, n_false = judge(found, parts)
        rows.append((name, *row(recall, n_false)))
        curves.append(curve(name, recall, n_false))
        if name.startswith("`"):
            stems.append((name, *stem_recall(found, parts)))
        print(rows[-1], flush=True)
    header = [
        "",
        *(f"{rate:g}" for rate in RATES),
        f"MirGeneDB's, at {discover.FP_PER_MB:g}",
        "false in fly 3'UTRs",
        "false in the genome",
    ]
    header += [f"precision, {density:g} a Mb" for density in PER_MB]
    texts["recall"] = markdown(header, rows)
    texts["stems"] = markdown(["", *(f"{per_mb:,}" for per_mb in FOLDED), "all"], stems)
    texts["mire2e"] = mire2e()
    for name, text in texts.items():
        put(PAGE, rf"(<!-- {name} -->\n).*?(?=<!-- /{name} -->)", text)
    ax = plot.false_rates(pd.concat(curves, ignore_index=True))
    plot.save(ax, "docs/images/discover.svg")
    (RESULTS / "tables.json").write_text(json.dumps(texts, indent=1))


# ------------------------------------------------------------------------------------------------------------ sequences


@cache
def hairpins() -> pd.DataFrame:
    """Human hairpins of miRBase 22, each sequence once: id, hairpin_seq, mirgenedb, first and last (of mature nt)."""
    table = datasets.load_hairpins("mirbase22_hairpins_4species").rename(columns={"hairpin_id": "id"})
    table = table[table["id"].str.startswith("hsa-")].drop_duplicates("hairpin_seq")
    precise = datasets.load_hairpins("mirgenedb_hairpins_4species")["hairpin_seq"].tolist()
    inside = [any(part in hairpin for part in precise) for hairpin in table["hairpin_seq"]]
    mature = discover.Known.read(datasets.path("hsa_mature_mirbase22"))
    places = [mature.places(hairpin) for hairpin in table["hairpin_seq"]]
    table["first"] = [min(start for start, *_ in found) for found in places]
    table["last"] = [max(end for _, end, _ in found) for found in places]
    return table[["id", "hairpin_seq", "first", "last"]].assign(mirgenedb=inside).reset_index(drop=True)


def at_its_place(table: pd.DataFrame) -> pd.Series:
    """Whether rows (chrom: a planted hairpin; start, end) cover it and its mature miRNAs; the strand does not count."""
    of = hairpins().set_index("id").loc[table["chrom"]].reset_index(drop=True)
    table, n = table.reset_index(drop=True), of["hairpin_seq"].str.len()

    def covers(first: pd.Series | int, last: pd.Series, share: float) -> pd.Series:
        shared = table["end"].clip(upper=CONTEXT + last) - table["start"].clip(lower=CONTEXT + first)
        return shared >= share * (last - first)

    return covers(0, n, FOUND) & covers(of["first"], of["last"], FOUND_MATURE)


def pieces() -> list[Record]:
    return io.read_fasta(datasets.path("human_hg19_chr2_chr6_100kb"))


def planted(random_state: int = 0) -> list[Record]:
    """Each hairpin in the middle of a stretch of a piece, of either strand."""
    rng, texts = np.random.default_rng(random_state), [record.sequence for record in pieces()]
    records = []
    for name, hairpin in hairpins()[["id", "hairpin_seq"]].itertuples(index=False):
        text = texts[rng.integers(len(texts))]
        place = int(rng.integers(CONTEXT, len(text) - CONTEXT))
        stretch = text[place - CONTEXT : place + CONTEXT]
        stretch = rna.reverse_complement(stretch) if rng.random() < 0.5 else stretch
        records.append(Record(name, stretch[:CONTEXT] + hairpin + stretch[CONTEXT:]))
    return records


def fly() -> list[Record]:
    """3'UTRs, every third, about `N_FLY` nt."""
    records = [record for record in io.iter_fasta(datasets.path("fly_3utr")) if len(record.sequence) >= 100][::3]
    sizes = np.cumsum([len(record.sequence) for record in records])
    return records[: int(np.searchsorted(sizes, N_FLY)) + 1]


def shuffles() -> list[Record]:
    cut = [
        Record(f"{record.id}:{low}", record.sequence[low : low + discover.PIECE])
        for record in pieces()
        for low in range(0, len(record.sequence) - discover.PIECE, discover.PIECE)
    ]
    total = sum(len(record.sequence) for record in cut)
    found = shuffled(cut, N_SHUFFLED, total_nt=total, random_state=1)
    return [Record(f"{number}", record.sequence) for number, record in enumerate(found)]


KINDS: dict[str, Callable[[], list[Record]]] = {
    "planted": planted,
    "genome": pieces,
    "fly": fly,
    "shuffled": shuffles,
}


def candidates(kind: str) -> pd.DataFrame:
    """chrom, start, end, strand, hairpin_seq, stem, structure, both strands; of planted ones those at the hairpin."""
    path = RESULTS / f"{kind}.parquet"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pd.concat(map(searched, KINDS[kind]()), ignore_index=True)
        if kind == "planted":
            ends = table["chrom"].map(hairpins().set_index("id")["hairpin_seq"].str.len()) + CONTEXT
            table = table[(table["end"] > CONTEXT) & (table["start"] < ends)].reset_index(drop=True)
        table["structure"] = [rna.fold(hairpin)[0] for hairpin in table["hairpin_seq"]]
        with io.atomic(path) as partial:
            table.to_parquet(partial)
    table = pd.read_parquet(path)
    if kind == "genome":
        table = table[~known(table)].reset_index(drop=True)
    return table


def searched(record: Record) -> pd.DataFrame:
    found = []
    for strand, sequence in (("+", record.sequence), ("-", rna.reverse_complement(record.sequence))):
        table = discover.candidates(sequence).rename(columns={"structure": "stem"})
        spans = table[["start", "end"]].itertuples(index=False)
        table["hairpin_seq"] = [sequence[start:end] for start, end in spans]
        if strand == "-":
            table["start"], table["end"] = len(sequence) - table["end"], len(sequence) - table["start"]
        found.append(table.assign(chrom=record.id, strand=strand))
    return pd.concat(found, ignore_index=True)


def known(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which of them hold a human mature miRNA of miRBase."""
    mature = discover.Known.read(datasets.path("hsa_mature_mirbase22"))
    return np.array([bool(mature.places(hairpin)) for hairpin in table["hairpin_seq"]])


def n_mb(kind: str) -> float:
    return sum(len(record.sequence) for record in KINDS[kind]()) / 1e6


# --------------------------------------------------------------------------------------------------------------- models


def contestants() -> dict[str, list[Part]]:
    """What is judged. A model that was taught all hairpins is said to be."""
    everything = set(hairpins()["id"])
    held_out = pd.read_parquet("results/hairpin/held_out.parquet")
    found = {"`hairpin`, families held out": list(networks(held_out))}
    found["boosted trees on 5 numbers, families held out"] = list(trees(held_out))
    found["energy of the fold per nt"] = [Part(lambda table: -energies(table), everything)]
    published = models.import_keras(datasets.path("dnnpremir_cnn_h5"), "dnnpremir_cnn")
    found["`dnnpremir_cnn`, published, has seen them"] = [Part(network_scores(published), everything)]
    return found


def human(held_out: pd.DataFrame) -> pd.DataFrame:
    return held_out[(held_out["source"] == "miRBase") & held_out["id"].isin(hairpins()["id"])]


def network_scores(model: models.Model) -> Scores:
    @torch.inference_mode()
    def scores(table: pd.DataFrame) -> NDArray[np.float64]:
        texts, logits = (table["hairpin_seq"].tolist(), table["structure"].tolist()), []
        for low in range(0, len(table), 1024):
            logits.append(model(*model.encode(*(column[low : low + 1024] for column in texts))))
        return torch.cat(logits).double().numpy()

    return scores


def networks(held_out: pd.DataFrame) -> Iterator[Part]:
    """The networks of recipes/hairpin.py, each with the human hairpins whose families it was not taught."""
    for part, rows in human(held_out).groupby("part"):
        model = models.load(f"results/hairpin/part_{part}_calibrated.safetensors")
        yield Part(network_scores(model), set(rows["id"]))


def trees(held_out: pd.DataFrame) -> Iterator[Part]:
    """Boosted trees, taught all that the networks are taught."""
    table = held_out.assign(**floors.hairpin_numbers(held_out))
    for part, rows in human(table).groupby("part"):
        held = set(table.loc[table["part"] == part, "group"])
        taught = table[~table["group"].isin(held)]

        columns, fit = list(floors.NUMBERS), HistGradientBoostingClassifier(random_state=0)
        fit.fit(taught[columns].to_numpy(), taught["label"].to_numpy())

        def scores(asked: pd.DataFrame, fit: HistGradientBoostingClassifier = fit) -> NDArray[np.float64]:
            return fit.decision_function(floors.hairpin_numbers(asked).to_numpy())

        yield Part(scores, set(rows["id"]))


def energies(table: pd.DataFrame) -> NDArray[np.float64]:
    rows = zip(table["hairpin_seq"], table["structure"], strict=True)
    return np.array([rna.energy(*row) / len(row[0]) for row in rows])


# -------------------------------------------------------------------------------------------------------------- figures


def loci(table: pd.DataFrame, scores: Scores) -> pd.DataFrame:
    return discover.merge(table.assign(logit=scores(table)))


def judge(found: dict[str, pd.DataFrame], parts: list[Part]) -> tuple[pd.DataFrame, dict[str, NDArray[np.float64]]]:
    """The score of each planted hairpin (-inf: not found) at its place; and the scores of false loci, all parts'."""
    table, scores = hairpins(), {}
    false: dict[str, list[NDArray[np.float64]]] = {kind: [] for kind in KINDS if kind != "planted"}
    for part in parts:
        asked = found["planted"][found["planted"]["chrom"].isin(part.hairpins)]
        scores |= best(loci(asked.reset_index(drop=True), part.scores))
        for kind, values in false.items():
            values.append(loci(found[kind], part.scores)["logit"].to_numpy(float))
    judged = table[table["id"].isin(set().union(*(part.hairpins for part in parts)))]
    judged = judged.assign(score=judged["id"].map(scores).fillna(-np.inf))
    sorted_ = {kind: np.sort(np.concatenate(values))[::-1] for kind, values in false.items()}
    return judged, sorted_ | {"n": np.array([len(parts)])}


def best(table: pd.DataFrame) -> dict[str, float]:
    """The best score of loci at the place of each planted hairpin."""
    at = at_its_place(table) & (table["strand"] == "+")
    return table[at].groupby("chrom")["logit"].max().to_dict()


def per_mb(false: dict[str, NDArray[np.float64]], kind: str, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """False loci per Mb with at least these scores, mean of the parts."""
    values = false[kind][::-1]
    return (len(values) - np.searchsorted(values, scores)) / (n_mb(kind) * false["n"][0])


def at_rate(false: dict[str, NDArray[np.float64]], kind: str, rate: float) -> float:
    """The score that so many false loci per Mb have."""
    number = int(rate * n_mb(kind) * false["n"][0])
    return float(false[kind][min(number, len(false[kind]) - 1)])


def row(recall: pd.DataFrame, false: dict[str, NDArray[np.float64]]) -> list[str]:
    cells = [f"{(recall['score'] > at_rate(false, 'shuffled', rate)).mean():.3f}" for rate in RATES]
    least = at_rate(false, "shuffled", discover.FP_PER_MB)
    precise = recall[recall["mirgenedb"]]
    cells.append(f"{(precise['score'] > least).mean():.3f}")
    real = [per_mb(false, kind, np.array([least + 1e-9]))[0] for kind in ("fly", "genome")]
    cells += [f"{rate:.2g}" for rate in real]
    share = (recall["score"] > least).mean()
    cells += [f"{density * share / (density * share + real[1]):.2f}" for density in PER_MB]
    return cells


def curve(name: str, recall: pd.DataFrame, false: dict[str, NDArray[np.float64]]) -> pd.DataFrame:
    """Share found against false loci per Mb of shuffled sequence."""
    scores = np.unique(recall["score"].replace(-np.inf, np.nan).dropna())
    share = 1 - np.searchsorted(np.sort(recall["score"]), scores) / len(recall)
    return pd.DataFrame({"x": per_mb(false, "shuffled", scores), "y": share, "predictor": name.replace("`", "")})


def stem_recall(found: dict[str, pd.DataFrame], parts: list[Part]) -> list[str]:
    """Share of hairpins found at the default rate of false loci, if only so many candidates are folded."""
    kept = {per: [0, 0] for per in (*FOLDED, None)}
    for part in parts:
        asked = found["planted"][found["planted"]["chrom"].isin(part.hairpins)].reset_index(drop=True)
        stems = np.sort(part.scores(found["shuffled"].assign(structure=found["shuffled"]["stem"])))[::-1]
        false = np.sort(loci(found["shuffled"], part.scores)["logit"])[::-1]
        least = false[int(discover.FP_PER_MB * n_mb("shuffled"))]
        own = part.scores(asked.assign(structure=asked["stem"]))
        for per, counts in kept.items():
            worth = own >= stems[int(per * n_mb("shuffled"))] if per else np.ones(len(asked), dtype=bool)
            scores = best(loci(asked[worth].reset_index(drop=True), part.scores))
            counts[0] += sum(score > least for score in scores.values())
            counts[1] += len(part.hairpins)
    return [f"{n / total:.3f}" for n, total in kept.values()]


def prefilter() -> str:
    """Recall of the search for stems, and candidates per kb, by the highest energy."""
    table, pieces_, found = hairpins(), pieces(), {}
    for record in planted():
        there = discover.candidates(record.sequence, energy=-3).assign(chrom=record.id)
        found[record.id] = there.loc[at_its_place(there), "energy"].min()
    energies_ = table["id"].map(found).fillna(0.0)
    strands = [s for record in pieces_ for s in (record.sequence, rna.reverse_complement(record.sequence))]
    background = np.concatenate([discover.candidates(strand, energy=-3)["energy"] for strand in strands])
    n_kb = sum(map(len, strands)) / 1000
    rows = []
    for energy in (-4.0, discover.ENERGY, -8.0, -10.0, -12.0):
        shares = [(energies_[kind] <= energy).mean() for kind in (table["mirgenedb"], table["mirgenedb"] >= 0)]
        cells = [f"{100 * share:.1f}" for share in shares]
        rows.append((f"{energy:g}", *cells, f"{(background <= energy).sum() / n_kb:.1f}"))
    return markdown(["kcal/mol", "of MirGeneDB's, %", "of all, %", "candidates a kb and strand"], rows)


def mire2e() -> str:
    """What is called in the two examples of miRe2e, one with a pre-miRNA."""
    model, rows = models.load("hairpin"), []
    for record in io.read_fasta(datasets.path("mire2e_examples")):
        table = searched(record)
        table["structure"] = [rna.fold(hairpin)[0] for hairpin in table["hairpin_seq"]]
        top = loci(table, network_scores(model)).sort_values("logit", ascending=False).iloc[0]
        mature = discover.Known.read(datasets.path("hsa_mature_mirbase22")).places(top["hairpin_seq"])
        place, score = f"{top['start']}-{top['end']} {top['strand']}", 1 / (1 + np.exp(-top["logit"]))
        names = ", ".join(name for *_, name in mature) or "-"
        rows.append((record.id, len(record.sequence), place, f"{score:.4f}", names))
    return markdown(["piece", "nt", "best locus", "score", "mature miRNAs of miRBase in it"], rows)


if __name__ == "__main__":
    main()
