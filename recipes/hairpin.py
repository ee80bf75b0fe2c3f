"""The bundled weights hairpin: mirscope's own network for pre-miRNAs, and the judgement of it.

    python recipes/hairpin.py

Pre-miRNAs are the hairpins of miRBase: human, macaque, mouse and rat of release 22, other animals of release 20. They
are taught as they stand there, and as `mirscope discover` cuts them out of shuffled 3'UTRs in which they were planted.
What is none: pseudo hairpins of coding sequences and short non-coding RNAs, as they are and cut out of such 3'UTRs, and
the candidates of real 3'UTRs, both strands. The mature miRNAs of miRBase teach the ends of the arms. Settings were
chosen on other draws of held-out families than those that judge (docs/decisions/022-hairpin-network.md).

Five networks, each with the families of another fifth of the human hairpins held out, give the figures and the
calibration; the network that is bundled learns from all. Evidence and finished networks stay in results/hairpin.
Writes src/mirscope/weights/hairpin.safetensors and its card, and results/hairpin/held_out.parquet.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

import hairpin_table
from mirscope import cli, datasets, discover, floors, io, metrics, models, negatives, predict, rna, splits
from mirscope.models import hairpin as network
from mitar import markdown

RUNS = Path("results/hairpin")
N_PARTS = 5
ANIMALS = [
    "hsa",
    "mmu",
    "bta",
    "gga",
    "ptr",
    "ppy",
    "mml",
    "mdo",
    "rno",
    "oan",
    "dre",
    "eca",
    "cfa",
    "ggo",
    "aca",
    "ipu",
    "ssc",
    "tgu",
    "pma",
    "xtr",
    "ola",
    "fru",
    "tni",
    "ccr",
    "oar",
    "mne",
    "sha",
    "age",
    "lla",
    "sla",
    "ppa",
    "cgr",
    "bmo",
    "cin",
    "dme",
    "cel",
    "tca",
    "ame",
    "cbn",
    "dps",
    "prd",
    "hco",
    "cbr",
    "ppc",
    "api",
    "mse",
    "hme",
    "dsi",
    "bma",
    "crm",
    "asu",
    "aae",
    "cte",
    "bfl",
    "bbe",
    "sme",
    "sko",
    "aga",
    "dgr",
    "der",
    "dya",
    "dse",
    "dwi",
    "dan",
    "dpe",
    "dvi",
    "dmo",
    "cqu",
    "nvi",
]
"""Species of release 20 that are learned from."""
CONTEXT = 400
"""nt of shuffled 3'UTR on both sides of a hairpin that is planted."""
ENERGY = -6.8
"""Highest energy of a stem that is cut out, kcal/mol; `mirscope discover` looks at a few weaker ones too."""
ENDS = [f"arm_{arm}_{end}" for arm in ("5p", "3p") for end in ("start", "end")]
COLUMNS = ["id", "source", "label", "hairpin_seq", "structure", *ENDS]
PRE, NOT = 1, 0


@dataclass(frozen=True)
class Recipe:
    """How the network learns."""

    epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 0.003
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    ends_weight: float = 0.3
    """Weight of the loss of the four ends."""
    whole_weight: float = 3.0
    """Weight of hairpins as they stand in their set; those that are cut out count 1, and of these ..."""
    lone_weight: float = 0.4
    """... hairpins whose family was found in fewer than three species so much."""
    cut_flanks: float = 0.25
    """Share of examples of which the columns beyond a random one are hidden."""
    noise: float = 0.05
    """Spread that is added to the summary."""


def evidence() -> pd.DataFrame:
    """All examples, folded: `COLUMNS`, group, part, and whether it holds a hairpin of MirGeneDB."""
    path = RUNS / "evidence.parquet"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with io.atomic(path) as partial:
            _evidence().to_parquet(partial)
    return pd.read_parquet(path)


def _evidence() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    pre = mirbase()
    pseudo = datasets.load_hairpins("pseudo_hairpins_8492").assign(label=NOT, source="pseudo")
    pseudo = pseudo.rename(columns={"hairpin_id": "id"}).drop_duplicates("hairpin_seq")
    records = io.iter_fasta(datasets.path("human_noncoding_hybridetector"), unique=False)
    short = [(record.id, record.sequence) for record in records if 40 <= len(record.sequence) <= 300]
    other = pd.DataFrame(short, columns=["id", "hairpin_seq"]).drop_duplicates("hairpin_seq")
    other = other.assign(label=NOT, source="non-coding RNA")
    whole = pd.concat([pre, pseudo, other], ignore_index=True)
    whole = whole[[*COLUMNS]].assign(group=splits.groups(whole.rename(columns={"id": "hairpin_id"}), "family"))
    utrs = [record.sequence for record in io.iter_fasta(datasets.path("human_3utr_mirmark"), unique=False)]
    utrs = [sequence for sequence in utrs if len(sequence) > CONTEXT and "N" not in sequence]
    cut = planted(whole, utrs, rng)
    cut["source"] += ", cut out"
    found = background(utrs).assign(label=NOT, source="3'UTR", group=lambda t: whole["group"].max() + 1 + t["row"])
    examples = pd.concat([whole, cut, found], ignore_index=True)
    examples[ENDS] = examples[ENDS].fillna(-1).astype(int)
    examples["structure"] = folded(examples)
    precise = datasets.load_hairpins("mirgenedb_hairpins_4species")["hairpin_seq"]
    examples = examples.assign(mirgenedb=contains(examples["hairpin_seq"], precise)).drop(columns="row")
    return examples.assign(part=judged(examples))


def mirbase() -> pd.DataFrame:
    """Hairpins of miRBase, each sequence once, with the places of their mature miRNAs; -1 where an arm is not known."""
    newest = datasets.load_hairpins("mirbase22_hairpins_4species").rename(columns={"hairpin_id": "id"})
    newest = newest[["id", "hairpin_seq", "structure"]]
    older = [
        (record.id, record.sequence)
        for record in io.iter_fasta(datasets.path("hairpin_mirbase20"))
        if record.id[:3] in ANIMALS and len(record.sequence) <= 300 and "N" not in record.sequence
    ]
    older = pd.DataFrame(older, columns=["id", "hairpin_seq"])
    found = pd.concat([newest, older[~older["id"].isin(newest["id"])]]).drop_duplicates("hairpin_seq")
    found["structure"] = folded(found)
    mature = defaultdict(list)
    for record in io.iter_fasta(datasets.path("mature_mirbase22")):
        mature[re.sub(r"-[35]p$", "", record.id).lower()].append(record)
    rows = found[["id", "hairpin_seq", "structure"]].itertuples(index=False)
    found[ENDS] = [arms(*row, mature) for row in rows]
    return found.assign(source="miRBase", label=PRE)


def arms(id: str, hairpin: str, structure: str, mature: dict[str, list[io.Record]]) -> list[int]:
    """Places of the mature miRNAs of this name that occur once in the hairpin, each on its side of the loop."""
    places, stem = [-1] * 4, rna.stem(structure)
    middle = sum(stem[-1]) / 2 if stem else len(hairpin) / 2
    name = id.lower()
    for record in {*mature[name], *mature[re.sub(r"-\d+$", "", name)]}:
        start, n = hairpin.find(record.sequence), len(record.sequence)
        if hairpin.count(record.sequence) != 1:
            continue
        side = 2 * (start + n / 2 > middle)
        if record.id.endswith(("-5p", "-3p")[side == 0]):
            continue  # named after the other arm
        places[side : side + 2] = start, start + n
    return places


def planted(whole: pd.DataFrame, utrs: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """What `discover` cuts out where a hairpin was planted between shuffled windows of 3'UTRs.

    Of a pre-miRNA up to two candidates, those that hold a mature miRNA (where none is known, most of it); of another
    hairpin the one that holds most of it.
    """
    rows = []
    for row, hairpin in enumerate(whole["hairpin_seq"]):
        left, right = negatives.shuffled_windows(
            negatives.random_windows(utrs, CONTEXT, 2, random_state=rng), random_state=rng
        )
        text, first, last = left + hairpin + right, CONTEXT, CONTEXT + len(hairpin)
        for start, end in discover.candidates(text, energy=ENERGY)[["start", "end"]].itertuples(index=False):
            shared = min(end, last) - max(start, first)
            if min(shared / len(hairpin), shared / (end - start)) > 0.3:
                rows.append((row, start - first, shared / len(hairpin), text[start:end]))
    cut = pd.DataFrame(rows, columns=["row", "start", "share", "hairpin_seq"])
    cut = cut.sort_values(["row", "share"], ascending=[True, False], kind="stable")
    cut = cut.join(whole[["id", "source", "label", "group", *ENDS]], on="row")
    known = (cut[ENDS] >= 0).any(axis=1)
    for start, end in (ENDS[:2], ENDS[2:]):
        moved = cut[[start, end]].sub(cut["start"], axis=0)
        outside = (cut[start] < 0) | (moved[start] < 0) | (moved[end] > cut["hairpin_seq"].str.len())
        cut[[start, end]] = moved.mask(outside, -1)
    holds = np.where(known, (cut[ENDS] >= 0).any(axis=1), cut["share"] > 0.7)
    order = cut.groupby("row").cumcount()
    return cut[np.where(cut["label"] == PRE, holds & (order < 2), order < 1)].drop(columns=["start", "share"])


def background(utrs: list[str], n: int = 16000) -> pd.DataFrame:
    """Candidates of real 3'UTRs, both strands, drawn evenly, with the number of their 3'UTR."""
    rows = []
    for row, forward in enumerate(utrs):
        for strand in (forward, rna.reverse_complement(forward)):
            places = discover.candidates(strand, energy=ENERGY)[["start", "end"]].itertuples(index=False)
            rows += [(row, strand[start:end]) for start, end in places]
    return pd.DataFrame(rows, columns=["row", "hairpin_seq"]).sample(n, random_state=1)


def folded(hairpins: pd.DataFrame) -> list[str]:
    """Structures, of those that have none by ViennaRNA."""
    given = hairpins["structure"] if "structure" in hairpins else pd.Series(np.nan, index=hairpins.index)
    missing = given.isna()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(_structure, hairpins.loc[missing, "hairpin_seq"], chunksize=100))
    return given.where(~missing, pd.Series(found, index=hairpins.index[missing], dtype="str")).tolist()


def _structure(hairpin: str) -> str:
    return rna.fold(hairpin)[0]


def contains(hairpins: pd.Series, parts: pd.Series) -> NDArray[np.bool_]:
    """Whether each hairpin has one of the parts in it, (n,)."""
    k = int(parts.str.len().min())
    starts = defaultdict(set)
    for part in parts:
        starts[part[:k]].add(part)

    def holds(hairpin: str) -> bool:
        return any(
            hairpin.startswith(part, at)
            for at in range(len(hairpin) - k + 1)
            for part in starts.get(hairpin[at : at + k], ())
        )

    return np.array([holds(hairpin) for hairpin in hairpins])


@dataclass(frozen=True)
class Codes:
    """What the network reads of the examples, and the columns of the ends (n, 4), -1 where one is not known."""

    symbols: Tensor
    summary: Tensor
    ends: Tensor

    def __getitem__(self, rows: NDArray | Tensor) -> Codes:
        return Codes(self.symbols[rows], self.summary[rows], self.ends[rows])


def codes(examples: pd.DataFrame) -> Codes:
    """Of all examples, encoded once."""
    symbols, summary = models.create("hairpin").encode(
        *(examples[name].tolist() for name in ("hairpin_seq", "structure"))
    )
    places = np.stack([network.columns(structure) for structure in examples["structure"]])
    ends = np.full((len(examples), len(ENDS)), -1)
    for number, name in enumerate(ENDS):
        place = examples[name].to_numpy() - number % 2  # the last nt
        there = (places[:, number // 2] == place[:, None]) & (examples[name] >= 0).to_numpy()[:, None]
        ends[:, number] = np.where(there.any(1), there.argmax(1), -1)
    return Codes(symbols, summary, torch.from_numpy(ends))


def weights(examples: pd.DataFrame, recipe: Recipe) -> NDArray[np.float32]:
    """How much each example counts."""
    species = examples["id"].str[:3].where(examples["source"] == "miRBase")
    n_species = examples["group"].map(species.groupby(examples["group"]).nunique())
    lone = (examples["label"] == PRE) & (n_species < 3)
    cut_out = np.where(lone, recipe.lone_weight, 1)
    return np.where(is_cut_out(examples), cut_out, recipe.whole_weight).astype(np.float32)


def learn(examples: pd.DataFrame, known: Codes, recipe: Recipe, random_state: int = 1) -> models.Model:
    """A network at the end of one cycle; nothing is stopped early."""
    torch.manual_seed(random_state)
    rng = np.random.default_rng(random_state)
    model = models.create("hairpin").train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    label = torch.tensor(examples["label"].to_numpy(np.float32))
    label = label * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
    weight = torch.from_numpy(weights(examples, recipe))
    n_steps = len(label) // recipe.batch_size
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.epochs * n_steps, pct_start=0.2
    )
    for epoch in range(recipe.epochs):
        order = torch.from_numpy(rng.permutation(len(label))[: n_steps * recipe.batch_size])
        total = 0.0
        for rows in order.split(recipe.batch_size):
            batch = known[rows]
            summary = batch.summary + recipe.noise * torch.randn_like(batch.summary)
            logit, ends = model.both(hide_flanks(batch.symbols, recipe.cut_flanks, rng), summary)
            loss = F.binary_cross_entropy_with_logits(logit, label[rows], reduction="none")
            loss = (loss * weight[rows]).sum() / weight[rows].sum() + recipe.ends_weight * ends_loss(ends, batch.ends)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            cycle.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / n_steps:.4f}", flush=True)
    return model.eval()


def ends_loss(logits: Tensor, columns: Tensor) -> Tensor:
    """Mean cross-entropy of the ends that are known and seen; logits (n, 4, 64), columns (n, 4)."""
    place = columns.clamp(0)[..., None]
    seen = (columns >= 0) & (logits.gather(2, place)[..., 0] > network.NOWHERE)
    loss = -logits.log_softmax(2).gather(2, place)[..., 0]
    return (loss * seen).sum() / seen.sum().clamp(1)


def hide_flanks(symbols: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """In a share of rows nothing beyond a random column, at least 18 after the loop."""
    last = rng.integers(network.LOOP + 18, network.COLUMNS + 1, len(symbols))
    last = np.where(rng.random(len(symbols)) < share, last, network.COLUMNS)
    hidden = torch.arange(network.COLUMNS) >= torch.from_numpy(last)[:, None]
    return symbols.masked_fill(hidden, network.NOTHING)


@torch.inference_mode()
def logits(model: models.Model, known: Codes) -> NDArray[np.float64]:
    """Of encoded examples, (n,)."""
    batches = zip(known.symbols.split(2048), known.summary.split(2048), strict=True)
    return torch.cat([model(*batch) for batch in batches]).double().numpy()


def judged(examples: pd.DataFrame) -> NDArray[np.int64]:
    """The part in which each example is judged: of human and pseudo hairpins as they stand that of `hairpin_table`.

    Others have the part of their group, which is dealt out where there is none.
    """
    table = hairpin_table.hairpins("all")
    own = {
        hairpin: part
        for part in range(N_PARTS)
        for hairpin in hairpin_table.PARTS.divide(table, part)["test"]["hairpin_seq"]
    }
    part = examples["hairpin_seq"].map(own)
    dealt = np.random.default_rng(0).integers(0, N_PARTS, examples["group"].max() + 1)
    group = (
        part.groupby(examples["group"])
        .transform("min")
        .fillna(pd.Series(dealt).reindex(examples["group"]).set_axis(examples.index))
    )
    return part.fillna(group).to_numpy(np.int64)


def taught(examples: pd.DataFrame, part: int) -> NDArray[np.bool_]:
    """The examples that a part's network learns from: of no group of which any is judged in it."""
    held = examples.loc[examples["part"] == part, "group"]
    return ~examples["group"].isin(held).to_numpy()


def learned(name: str, examples: pd.DataFrame, known: Codes, rows: NDArray[np.bool_], recipe: Recipe) -> models.Model:
    """The network of a finished run, or a new one taught by these rows."""
    path = RUNS / f"{name}.safetensors"
    if not path.is_file():
        places = np.flatnonzero(rows)
        model = learn(examples.iloc[places].reset_index(drop=True), known[places], recipe)
        model.provenance = {"settings": asdict(recipe)}
        models.save(model, path)
    model = models.load(path)
    if model.provenance["settings"] != asdict(recipe):
        raise SystemExit(f"{path} was made with other settings; remove it first")
    return model


def platt(held: pd.DataFrame) -> tuple[float, float]:
    """Slope and shift that make logits those of probabilities where one hairpin in two is a pre-miRNA.

    Hairpins that stand alone and those that are cut out count the same, and both labels of each.
    """
    from sklearn.linear_model import LogisticRegression

    weight = 1 / held.groupby([is_cut_out(held), held["label"]])["label"].transform("size")
    fit = LogisticRegression(C=np.inf).fit(
        held[["logit"]].to_numpy(), held["label"], sample_weight=weight / weight.mean()
    )
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def is_cut_out(examples: pd.DataFrame) -> pd.Series:
    """Whether the hairpin's ends are those of `discover.candidates`."""
    return examples["source"].str.contains("cut out|UTR")


def calibrate(model: models.Model, slope: float, shift: float) -> models.Model:
    """Fold slope and shift of the logits into the last layer."""
    with torch.no_grad():
        model.head.weight *= slope
        model.head.bias.mul_(slope).add_(shift)
    return model


FALSE = (0.01, 0.002)
"""Shares of the candidates of real 3'UTRs that are called by mistake."""


def main() -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    recipe, examples = Recipe(), evidence()
    known = codes(examples)
    examples["logit"] = 0.0
    new = unseen()
    new_codes = codes(new)
    for part in range(N_PARTS):
        model = learned(f"part_{part}", examples, known, taught(examples, part), recipe)
        rows = np.flatnonzero(examples["part"] == part)
        examples.loc[rows, "logit"] = logits(model, known[rows])
        new[f"part_{part}"] = logits(model, new_codes)
        found = model.arms(*(examples.loc[rows, name].tolist() for name in ("hairpin_seq", "structure")))
        examples.loc[rows, [f"found_{end}" for end in ENDS]] = found
    fitted = examples[human(examples) & ~examples["source"].str.contains("non-coding")]
    slope, shift = platt(fitted)
    for table, columns in ((examples, ["logit"]), (new, [f"part_{part}" for part in range(N_PARTS)])):
        table[columns] = slope * table[columns] + shift
    for part in range(N_PARTS):  # what recipes/discover.py plants the held-out hairpins for
        model = calibrate(models.load(RUNS / f"part_{part}.safetensors"), slope, shift)
        models.save(model, RUNS / f"part_{part}_calibrated.safetensors")
    rivals(examples, new)
    examples.to_parquet(RUNS / "held_out.parquet")
    new.to_parquet(RUNS / "unseen.parquet")
    file = hairpin_table.RESULTS / "scores" / "`hairpin` by its own recipe.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    in_first_set().to_parquet(file)
    model = calibrate(learned("all", examples, known, np.ones(len(examples), dtype=bool), recipe), slope, shift)
    model.provenance = {
        "data": "miRBase 22 and 20; pseudo_hairpins_8492; human_noncoding_hybridetector; human_3utr_mirmark",
        "n": examples.groupby("source").size().to_dict(),
        "settings": asdict(recipe) | {"random_state": 1},
        "calibration": {"slope": round(slope, 6), "shift": round(shift, 6), "prevalence": 0.5},
        "device": "cpu",
    }
    models.save(model, models.WEIGHTS / "hairpin.safetensors")
    (models.WEIGHTS / "hairpin.md").write_text(card(model, examples, new))
    print(f"written: {models.WEIGHTS / 'hairpin'}.safetensors and .md", flush=True)


def in_first_set() -> pd.DataFrame:
    """Scores of the hairpins of `hairpin_table`, each by the network of the part in which it is judged."""
    table, found = hairpin_table.hairpins("all"), []
    for part in range(N_PARTS):
        rows = hairpin_table.PARTS.divide(table, part)["test"]
        score = predict.score(models.load(RUNS / f"part_{part}_calibrated.safetensors"), rows)
        found.append(rows[["hairpin_seq"]].assign(score=score))
    return pd.concat(found)


def unseen(n: int = 4000) -> pd.DataFrame:
    """Hairpins of kinds that are not taught: candidates of fly 3'UTRs, and shuffled human hairpins."""
    path = RUNS / "new.parquet"
    if not path.is_file():
        flies = [record.sequence for record in io.iter_fasta(datasets.path("fly_3utr"), unique=False)]
        flies = [sequence for sequence in flies if len(sequence) > 200 and "N" not in sequence][::5]
        fly = background(flies, n).assign(source="fly 3'UTR").drop(columns="row")
        human = mirbase().query("id.str.startswith('hsa-')")["hairpin_seq"]
        mixed = negatives.shuffled_windows(human.tolist(), random_state=0)
        new = pd.concat([fly, pd.DataFrame({"hairpin_seq": mixed, "source": "shuffled miRBase"})], ignore_index=True)
        new = new.assign(id="", label=NOT, group=-1, **dict.fromkeys(ENDS, -1))
        new.assign(structure=folded(new)).to_parquet(path)
    return pd.read_parquet(path)


def rivals(examples: pd.DataFrame, new: pd.DataFrame) -> None:
    """Add logits of what `hairpin` is judged beside, held out in the same parts.

    `trees`: boosted trees on five numbers, taught the same examples with the same weights. `trees of benchmark`: taught
    only human hairpins of miRBase and pseudo hairpins as they stand in their sets, as the papers do.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    values, new_values = (floors.hairpin_numbers(table).to_numpy() for table in (examples, new))
    benchmark = human(examples) & examples["source"].isin(["miRBase", "pseudo"]).to_numpy()
    weight = weights(examples, Recipe())
    for title, rows in (("trees", np.ones(len(examples), dtype=bool)), ("trees of benchmark", benchmark)):
        examples[title], new[title] = 0.0, 0.0
        for part in range(N_PARTS):
            use, asked = rows & taught(examples, part), (examples["part"] == part).to_numpy()
            fit = HistGradientBoostingClassifier(random_state=0)
            fit.fit(
                values[use], examples["label"].to_numpy()[use], sample_weight=weight[use] if title == "trees" else None
            )
            examples.loc[asked, title] = fit.decision_function(values[asked])
            new[title] += fit.decision_function(new_values) / N_PARTS


def human(examples: pd.DataFrame) -> NDArray[np.bool_]:
    """Human pre-miRNAs, and all that is none."""
    return (examples["id"].str.startswith("hsa-") | (examples["label"] == NOT)).to_numpy()


TITLES = {
    "logit": "`hairpin`",
    "trees": "boosted trees, same examples",
    "trees of benchmark": "boosted trees, first set",
}


def first_set(examples: pd.DataFrame) -> str:
    """Human hairpins of miRBase against pseudo hairpins as they stand in their sets."""
    rows = examples[human(examples) & examples["source"].isin(["miRBase", "pseudo"])]
    lines = []
    for column, title in TITLES.items():
        found = metrics.summarise(rows["label"], predict.probability(rows[column].to_numpy(np.float32)))
        found = {
            name: f"{value:.4f} [{low:.3f}, {high:.3f}]" for name, value, low, high in found.itertuples(index=False)
        }
        gain = metrics.delong(rows["label"], rows["logit"], rows[column]) if column != "logit" else None
        less = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], p {gain.p:.1g}" if gain else ""
        lines.append((title, found["auroc"], found["average_precision"], found["accuracy"], less))
    return markdown(("", "AUROC", "average precision", "accuracy", "AUROC of `hairpin` less this"), lines)


def in_scans(examples: pd.DataFrame) -> str:
    """Sensitivity where few candidates of real 3'UTRs are called."""
    asked = human(examples) & (examples["source"] == "miRBase, cut out") & ~examples.duplicated(["id", "source"])
    background = examples["source"] == "3'UTR"
    lines = []
    for column, title in TITLES.items():
        line = [title]
        for share in FALSE:
            least = np.quantile(examples.loc[background, column], 1 - share)
            for rows in (asked & examples["mirgenedb"], asked):
                line.append(share_called(examples.loc[rows, column] > least))
        lines.append(line)
    header = [f"{kind}, {share:.1%} false" for share in FALSE for kind in ("MirGeneDB", "all of miRBase")]
    return markdown(("", *header), lines)


def mistakes(examples: pd.DataFrame, new: pd.DataFrame) -> str:
    """Share of each kind that is called where 90 % of MirGeneDB's hairpins, cut out, are called."""
    asked = human(examples) & (examples["source"] == "miRBase, cut out") & examples["mirgenedb"]
    together = new.assign(logit=new[[f"part_{part}" for part in range(N_PARTS)]].mean(axis=1))
    rows = pd.concat([examples[examples["label"] == NOT], together])
    kinds = list(dict.fromkeys(rows["source"]))
    lines = []
    for column, title in TITLES.items():
        least = np.quantile(examples.loc[asked, column], 0.1)
        lines.append((title, *(share_called(rows.loc[rows["source"] == kind, column] >= least) for kind in kinds)))
    return markdown(("", *kinds), lines)


def share_called(called: pd.Series) -> str:
    from scipy.stats import binomtest

    low, high = binomtest(int(called.sum()), len(called)).proportion_ci(method="wilson")
    return f"{called.mean():.3f} [{low:.3f}, {high:.3f}]"


def ends(examples: pd.DataFrame) -> str:
    """How far called ends are from those of miRBase, of human hairpins as they stand there."""
    rows = examples[examples["id"].str.startswith("hsa-") & (examples["source"] == "miRBase")]
    lines = []
    for kind, chosen in (("all of miRBase", rows), ("in MirGeneDB", rows[rows["mirgenedb"]])):
        for end in ENDS:
            both = chosen[(chosen[end] >= 0) & (chosen[f"found_{end}"] >= 0)]
            off = (both[f"found_{end}"] - both[end]).abs()
            shares = (f"{(off <= nt).mean():.3f}" for nt in (0, 1, 2))
            name = end.removeprefix("arm_").replace("_", " ")
            lines.append((f"{name}, {kind}", len(both), f"{off.mean():.2f}", f"{off.median():.0f}", *shares))
    return markdown(("", "hairpins", "mean error, nt", "median", "exact", "within 1 nt", "within 2 nt"), lines)


def calibration(examples: pd.DataFrame) -> str:
    """Calibration error and Brier loss of held-out human hairpins, one pre-miRNA in two."""
    rng, lines = np.random.default_rng(0), []
    chosen = human(examples)
    for title, sources in (("as they stand", ["miRBase", "pseudo"]), ("cut out", ["miRBase, cut out", "3'UTR"])):
        rows = examples[chosen & examples["source"].isin(sources)]
        pre, other = (np.flatnonzero(rows["label"] == label) for label in (PRE, NOT))
        n = min(len(pre), len(other))
        rows = rows.iloc[np.concatenate([rng.permutation(part)[:n] for part in (pre, other)])]
        score = predict.probability(rows["logit"].to_numpy(np.float32))
        error, loss = (measure(rows["label"], score) for measure in (metrics.calibration_error, metrics.brier_loss))
        lines.append((title, f"{error:.3f}", f"{loss:.3f}"))
    return markdown(("human hairpins", "calibration error", "Brier loss"), lines)


CARD = """# hairpin

mirscope's own network for pre-miRNAs: the two strands of a hairpin side by side, read from the loop outward, and seven
numbers of the whole; {n_parameters:,} parameters. It also calls the two mature miRNAs.

**Use it** for any animal hairpin: it is the default of `mirscope hairpins` and `mirscope discover`.
`score` is a probability where one hairpin in two is a pre-miRNA; of the hairpins of a genome far fewer are. There, go
by the false loci per Mb of `mirscope discover`.

## Training

- {n[miRBase]:,} hairpins of miRBase (release 22: human, macaque, mouse, rat; release 20: {n_animals} other animals),
  and {n[miRBase, cut out]:,} that `discover` cuts out where they are planted between shuffled 3'UTRs.
- No pre-miRNAs: {n[pseudo]:,} pseudo hairpins of coding sequences, {n[non-coding RNA]:,} short non-coding RNAs (tRNA,
  rRNA, Y RNA, snoRNA), {n[pseudo, cut out]:,} and {n[non-coding RNA, cut out]:,} cut out in the same way, and
  {n[3'UTR]:,} candidates of human 3'UTRs, both strands.
- The ends of the mature miRNAs of miRBase 22 are learned along with the label.
- Settings: {settings}.
- Made by `python recipes/hairpin.py` on one CPU core: the same command gives the same weights.

## Figures

All of hairpins held out with their relatives (at least 80 % identity, a 20-mer or the family's name in common), in five
parts, with 95 % intervals. The few choices of the recipe were made on one part of another draw of the same families.

Human hairpins of miRBase against pseudo hairpins, as they stand in their sets, the task of the papers. Trees that are
taught this set alone are as good here, by what does not help in a scan: entries of miRBase end where their stem ends.
The same network taught this set alone is better than they are (docs/precursors.md).

{first_set}

As a scan meets them: candidates cut out of sequence, at two shares of the candidates of real 3'UTRs called by mistake.
Of the human entries of miRBase MirGeneDB holds a third to be miRNAs; many of the others look like any hairpin.

{in_scans}

Shares of hairpins called that are none, where 90 % of MirGeneDB's are called. Kinds of which none was ever taught are
the last two:

{mistakes}

## Mature miRNAs

Called ends against miRBase's, of human hairpins held out. miRBase's own are those of the most frequent reads, and move
by a nucleotide or two between tissues and releases.

{ends}

## Calibration

A fit to held-out hairpins (Platt: slope {calibration[slope]:.3f}, shift {calibration[shift]:+.3f}; as they stand and
cut out count the same) is part of the weights.

{reliability}

## Limits

- Animals. Hairpins of plants are longer and were not taught.
- miRBase holds entries that are no miRNAs: of a label 1 not too much can be learned, or asked.
- Hairpins of up to 160 nt between the first and the last base pair; of a branched fold only the deepest stem is read.
- The other numbers of the summary (length, energy) depend on where a hairpin is cut: give it hairpins with about 10 nt
  on both sides of the stem, as `discover` does, or those of miRBase as they are.
- Which of the two arms is used, and isomiRs, it does not know.
"""


def card(model: models.Model, examples: pd.DataFrame, new: pd.DataFrame) -> str:
    """The model card."""
    how = model.provenance
    return CARD.format(
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        n_animals=len(ANIMALS) - 4,
        n=how["n"],
        calibration=how["calibration"],
        settings=", ".join(f"{key} {value}" for key, value in how["settings"].items()),
        first_set=first_set(examples),
        in_scans=in_scans(examples),
        mistakes=mistakes(examples, new),
        ends=ends(examples),
        reliability=calibration(examples),
    )


if __name__ == "__main__":
    main()
