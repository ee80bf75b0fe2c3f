"""DMISO's training set made anew of public chimeras, what its network learns of it, and the weights dmiso_chimeras.

    python recipes/dmiso_chimeras.py

writes docs/dmiso_chimeras.md, and src/mirscope/weights/dmiso_chimeras.safetensors with its card. Needs the data sets of
the catalogue; half an hour on one CPU core. Pairs and networks are kept in results/dmiso_chimeras and not made twice.
Validation pairs choose the epochs; test pairs are measured here and choose nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import dmiso
import mitar
from mirscope import cli, datasets, evaluate, floors, io, isomir, metrics, models, negatives, predict, splits, train
from mirscope.io import Record
from mirscope.isomir import References
from mirscope.reads import Fragment
from mitar import markdown
from negatives import TRANSCRIPTS, auroc, miranda
from tables import difference

RUNS = Path("results/dmiso_chimeras")
PAGE = Path("docs/dmiso_chimeras.md")
NAME = "dmiso_chimeras"
READ, HELWAK, HONEST = "clash_hejret2023_realseq", "clash_helwak2013_1to1", "clash_hejret2023_mirbench:test"
EXTENSION = 25
"""nt downstream that the paper adds to the target part."""
STATES = (1, 2)
CONFIG = {"l1": 0.0003}
SETTINGS = train.Settings(epochs=6, monitor="average_precision", **dmiso.ONE_CYCLE | {"learning_rate": 0.001})
FEW, EPOCHS_OF_FEW = 5000, 60
"""Of fewer training pairs the network needs more epochs."""
KINDS = ("exact", "isomiR", "isomiR, other 5' end")
"""What the miRNA part of a pair of Hejret's is; the last is some of the one before."""
FLOORS = {key: floor.title for key, floor in floors.FLOORS.items() if key != "gene_identity"} | {"miranda": "miRanda"}


# ------------------------------------------------------------------------------------------------------------ the pairs


def references() -> References:
    """The human miRNAs with their hairpins."""
    hairpins = datasets.load_hairpins("mirbase22_hairpins_4species")[["hairpin_id", "hairpin_seq"]]
    records = [Record(*row) for row in hairpins.itertuples(index=False)]
    return References.of(io.read_fasta(datasets.path("hsa_mature_mirbase22")), records)


def called(pairs: pd.DataFrame, known: References) -> pd.DataFrame:
    """The pairs whose miRNA part is a miRNA or isomiR, with its name, `reference`, `classes` and `n_reads` of the part.

    Of several miRNAs that explain a part as well, the first by name.
    """
    counts = pairs["mirna_seq"].value_counts()
    fragments = {str(sequence): Fragment(int(n)) for sequence, n in counts.items()}
    found = isomir.isomirs(fragments, known).drop_duplicates("sequence").set_index("sequence")
    found["reference"] = found["mirna_id"].map({record.id: record.sequence for record in known.mirnas})
    kept = pairs[pairs["mirna_seq"].isin(found.index)]
    return kept.drop(columns="mirna_id").join(found[["mirna_id", "reference", "classes", "n_reads"]], on="mirna_seq")


def positives(known: References) -> pd.DataFrame:
    """The positives of both sets, no pair twice.

    Of Helwak's chimeras only the first 20 nt of the miRNA are public: their miRNA part is the miRNA that begins so.
    """
    read, helwak = (called(datasets.load_pairs(name).query("label == 1"), known) for name in (READ, HELWAK))
    helwak = helwak.assign(mirna_seq=helwak["reference"], classes="")
    table = pd.concat([read.assign(source="Hejret"), helwak.assign(source="Helwak")], ignore_index=True)
    table = table.drop(columns="gene_id").rename(columns={"split": "published"})
    return table.drop_duplicates(["mirna_seq", "target_seq"], ignore_index=True)


def with_reference(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs with every miRNA part replaced by the miRNA that it is an isomiR of."""
    return pairs.assign(mirna_seq=pairs["reference"])


def placed(pairs: pd.DataFrame, transcripts: list[Record]) -> pd.DataFrame:
    """The pairs whose target stands in a transcript: in the longest of them (`gene_id`), the target extended there."""
    rows, names, targets = [], [], []
    for row, found in enumerate(negatives.occurrences(pairs, transcripts)):
        if found:
            number, start = max(found, key=lambda place: len(transcripts[place[0]].sequence))
            end = start + len(pairs["target_seq"].iloc[row]) + EXTENSION
            rows.append(row)
            names.append(transcripts[number].id)
            targets.append(transcripts[number].sequence[start:end])
    return pairs.iloc[rows].assign(gene_id=names, target_seq=targets).reset_index(drop=True)


def transcripts() -> list[Record]:
    """Human 3'UTRs and pieces of mRNAs, under ids of their own."""
    return [
        Record(f"{name}_{number}", record.sequence)
        for name in (*TRANSCRIPTS, "deeptargetpro_mrna_pieces")
        for number, record in enumerate(io.read_fasta(datasets.path(name), unique=False))
    ]


# ----------------------------------------------------------------------------------------------------------- the splits


def by_family(pairs: pd.DataFrame, share: float, random_state: int = 0) -> pd.Series:
    """Test for about `share` of the pairs, train for the others: whole families of miRNAs, whole clusters of sites.

    A family holds all whose part or miRNA is of it. A cluster is on the side of most of its pairs; those on the other
    side are dropped (empty text).
    """
    both = pd.concat([pairs, with_reference(pairs)], ignore_index=True)
    drawn = splits.make(both, "family", test=share, valid=0, random_state=random_state) == "test"
    part, whole = drawn.to_numpy().reshape(2, -1)
    clusters = splits.clusters(pairs["target_seq"].tolist())
    mostly = pd.Series(part).groupby(clusters).transform("mean").to_numpy() > 0.5
    split = np.where((part == whole) & (part == mostly), np.where(part, "test", "train"), "")
    return pd.Series(split, index=pairs.index)


def by_mirna(pairs: pd.DataFrame, share: float, random_state: int = 0) -> pd.Series:
    """Test for `share` of the miRNAs, train for the others, as the paper: relatives and sites may be on both sides."""
    names = pairs["reference"].drop_duplicates().sort_values()
    held = names.sample(frac=share, random_state=random_state)
    return pd.Series(np.where(pairs["reference"].isin(held), "test", "train"), index=pairs.index)


HALVES: dict[str, Callable[..., pd.Series]] = {"miRNAs": by_mirna, "families, sites apart": by_family}


def halves(pairs: pd.DataFrame, rule: str, direction: int) -> pd.DataFrame:
    """The pairs with `split`: one half of the miRNAs is test, a fifth of the other, by the same rule, is valid.

    Args:
        pairs: positives.
        rule: one of `HALVES`.
        direction: 0 or 1: which half is test.
    """
    divide = HALVES[rule]
    learn, ask = ("train", "test") if direction == 0 else ("test", "train")
    split = divide(pairs, 0.5).replace({learn: "train", ask: "test"})
    inner = divide(pairs[split == "train"], 0.2, random_state=1)
    split[inner.index] = inner.replace("test", "valid")
    return pairs.assign(split=split)


def held_out(pairs: pd.DataFrame, tests: list[str]) -> pd.DataFrame:
    """The pairs with `split`: `sites` are those that share a cluster with a published test site, `test` a fifth of
    the rest, whole families, and `valid` a fifth of what is left.

    Args:
        pairs: positives with `published`, their own set's split.
        tests: targets of other test pairs.
    """
    clusters = splits.clusters(pairs["target_seq"].tolist() + tests)
    own = clusters[: len(pairs)]
    known = np.concatenate([own[pairs["published"] == "test"], clusters[len(pairs) :]])
    split = pd.Series(np.where(np.isin(own, known), "sites", "train"), index=pairs.index)
    for name in ("test", "valid"):
        rows = split == "train"
        split[rows] = by_family(pairs[rows], 0.2, random_state=1).replace("test", name)
    return pairs.assign(split=split)


def with_negatives(pairs: pd.DataFrame, how: str, records: list[Record] | None = None) -> pd.DataFrame:
    """The pairs of a split with as many negatives, made within each split and set, and what is known of their parts."""
    pairs = pairs[pairs["split"] != ""]
    apart = pairs.assign(split=pairs["split"] + " of " + pairs["source"])
    made = negatives.make(apart, how, transcripts=records)
    made[["split", "source"]] = made["split"].str.split(" of ", expand=True).to_numpy()
    parts = pairs.drop_duplicates("mirna_seq").set_index("mirna_seq")[["reference", "classes"]]
    return made.join(parts, on="mirna_seq")


def kept(title: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The pairs of this title, from the file that holds them if there is one."""
    path = RUNS / f"{title}.tsv.gz"
    if not path.is_file():
        RUNS.mkdir(parents=True, exist_ok=True)
        io.write_table(make(), path)
    return io.read_pairs(path).fillna({"classes": ""})


# ---------------------------------------------------------------------------------------------------------- the network


def trained(title: str, pairs: pd.DataFrame, random_state: int) -> models.Model:
    """DMISO's network of the training pairs, kept at its best epoch by the validation pairs, from its file if there."""
    path = RUNS / title / f"{random_state}.safetensors"
    if not path.is_file():
        parts = [pairs[pairs["split"] == part].reset_index(drop=True) for part in ("train", "valid")]
        epochs = SETTINGS.epochs if len(parts[0]) >= FEW else EPOCHS_OF_FEW
        settings = replace(SETTINGS, epochs=epochs, random_state=random_state)
        work = path.with_suffix("")
        model, history = train.fit("dmiso", *parts, work, settings=settings, config=CONFIG, resume=True)
        best = history.iloc[int(history["valid_average_precision"].to_numpy().argmax())]
        model.provenance = {
            "n": {part: int((pairs["split"] == part).sum()) for part in ("train", "valid")},
            "settings": asdict(settings),
            "epochs": len(history),
            "best_epoch": int(best["epoch"]),
            "valid": {name: round(float(best[f"valid_{name}"]), 6) for name in ("auroc", "average_precision")},
        }
        models.save(model, path)
        shutil.rmtree(work)
        print(title, random_state, model.provenance["valid"], f"{history['seconds'].sum():.0f} s", flush=True)
    return models.load(path)


def together(title: str, pairs: pd.DataFrame, asked: pd.DataFrame) -> np.ndarray:
    """The mean logit, as a probability, of networks of all `STATES`."""
    scores = [predict.score(trained(title, pairs, state), asked) for state in STATES]
    logits = [np.log(score / (1 - score)) for score in (np.clip(s.astype(float), 1e-7, 1 - 1e-7) for s in scores)]
    return predict.probability(np.mean(logits, 0).astype(np.float32))


def predictors(title: str, pairs: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Scores of test pairs: DMISO's network trained on `pairs`, its published weights, every floor."""
    found = {"DMISO, trained here": together(title, pairs, test), "DMISO, published": predict.score(published(), test)}
    known = floors.all_floors(test, pairs[pairs["split"] == "train"]).assign(miranda=miranda(test))
    return pd.concat([pd.DataFrame(found, index=test.index), known[list(FLOORS)].rename(columns=FLOORS)], axis=1)


def published() -> models.Model:
    """The authors' weights, for comparison only."""
    return models.import_keras(datasets.path("dmiso_h5"), "dmiso")


# ----------------------------------------------------------------------------------------------------------- the tables


def main() -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    table, records = positives(references()), transcripts()
    standing = placed(table, records)
    known_tests = [datasets.load_pairs(name).query("label == 1")["target_seq"] for name in dmiso.JUDGED_ON]
    tests = pd.concat(known_tests).tolist()
    final = kept("held out", partial(with_negatives, held_out(table, tests), "repaired"))
    ship(final)
    page = DOCUMENT.format(
        counts=counts(table, standing),
        n_transcripts=f"{len(records):,}",
        n_placed=f"{len(standing):,}",
        share_placed=f"{100 * len(standing) / len(table):.0f}",
        paper=of_the_paper(standing, records),
        halves=balanced(table),
        isomirs=isomirs(table),
        held_out=side_by_side(
            [(what, final, test, weights_beside(final, test)) for what, test in asked(final).items()]
        ),
    )
    PAGE.write_text(page)


def counts(table: pd.DataFrame, standing: pd.DataFrame) -> str:
    """What the set is made of, and how much of it stands in transcripts."""
    rows = []
    for source, part in table.groupby("source"):
        changed = part["classes"] != ""
        believed = ~changed | (part["n_reads"] >= isomir.Settings().least_reads)
        numbers = [len(part), part["reference"].nunique(), changed.sum(), other_end(part).sum(), believed.sum()]
        rows.append((source, *(f"{n:,}" for n in (*numbers, (standing["source"] == source).sum()))))
    header = ("", "positives", "miRNAs", "by an isomiR", "with another 5' end", "exact, or in 10 chimeras")
    return markdown((*header, "in a transcript at hand"), rows)


def other_end(pairs: pd.DataFrame) -> pd.Series:
    """Whether the miRNA part begins elsewhere than its miRNA, or with another nt."""
    return pairs["classes"].str.contains("5p")


def of_the_paper(standing: pd.DataFrame, records: list[Record]) -> str:
    """The pairs that stand in transcripts, with the paper's negatives and with repaired ones: networks of either asked
    about both.
    """
    columns = []
    for rule in HALVES:
        made = {}
        for how in ("same-transcript", "repaired"):
            title = f"placed, halves by {rule.split(',')[0]}, {how}"
            made[how] = title, kept(title, partial(with_negatives, halves(standing, rule, 0), how, records))
        for how, (title, pairs) in made.items():
            (other,) = (kind for kind in made if kind != how)
            test = pairs[pairs["split"] == "test"]
            found = predictors(title, pairs, test)
            found.insert(1, "DMISO, trained on the other negatives", together(*made[other], test))
            columns.append((f"`{how}`, {rule}", pairs, test, found))
    return side_by_side(columns)


def halved(table: pd.DataFrame, rule: str, direction: int) -> tuple[str, pd.DataFrame]:
    """Title and balanced pairs of one direction of a split by halves."""
    title = f"halves by {rule.split(',')[0]}, {direction + 1}"
    return title, kept(title, partial(with_negatives, halves(table, rule, direction), "repaired"))


def balanced(table: pd.DataFrame) -> str:
    """AUROC of every predictor on either half, by both rules."""
    columns = []
    for rule in HALVES:
        for direction in (0, 1):
            title, pairs = halved(table, rule, direction)
            test = pairs[pairs["split"] == "test"]
            columns.append((f"{rule}, {direction + 1}", pairs, test, predictors(title, pairs, test)))
    return side_by_side(columns)


def isomirs(table: pd.DataFrame) -> str:
    """AUROC on Hejret's test pairs of both halves with the part as read and with its miRNA, by what the part is.

    Scores are ranks within their half, since two networks share no scale.
    """
    rule, tests, ranks = list(HALVES)[-1], [], []
    for direction in (0, 1):
        title, pairs = halved(table, rule, direction)
        test = pairs[(pairs["split"] == "test") & (pairs["source"] == "Hejret")]
        whole, own = with_reference(test), together(title, pairs, test)
        found = {
            ("DMISO, trained alike", "read"): own,
            ("DMISO, trained alike", "miRNA"): together(f"{title}, reference", with_reference(pairs), whole),
            ("DMISO, trained as read", "read"): own,
            ("DMISO, trained as read", "miRNA"): together(title, pairs, whole),
        }
        for way, asked_with in {"read": test, "miRNA": whole}.items():
            found["seed class", way] = floors.seed_class(asked_with)
            found["duplex energy", way] = floors.duplex_energy(asked_with)
            found["miRanda", way] = miranda(asked_with)
        tests.append(test)
        ranks.append(pd.DataFrame(found, index=test.index).rank(pct=True))
    test, scores = pd.concat(tests, ignore_index=True), pd.concat(ranks, ignore_index=True)
    changed = test["classes"] != ""
    kinds = dict(zip(KINDS, (~changed, changed, other_end(test)), strict=True))
    rows = []
    for name in scores.columns.get_level_values(0).unique():
        for kind, held in kinds.items():
            both = [scores.loc[held, (name, way)].to_numpy() for way in ("read", "miRNA")]
            cells = [auroc(test["label"][held], values) for values in both]
            rows.append((name, kind, f"{held.sum():,}", *cells, difference(metrics.delong(test["label"][held], *both))))
    return markdown(("", "the part is", "pairs", "as read", "its miRNA", "as read less its miRNA"), rows)


def asked(final: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The pairs that the weights are judged on, by what they are."""
    parts = {"families held out": "test", "sites held out": "sites"}
    return {what: final[final["split"] == part] for what, part in parts.items()} | {
        "sites of Hejret": final[(final["split"] == "sites") & (final["source"] == "Hejret")],
        f"`{HONEST}`": datasets.load_pairs(HONEST),
    }


def weights_beside(final: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """`predictors`, and every bundled network that has learned from chimeras."""
    found = predictors("held out", final, test).rename(columns={"DMISO, trained here": "two states together"})
    for name in ("duplex", "dmiso_helwak", "dmiso", NAME):
        found.insert(0, f"`{name}`", predict.score(models.load(name), test))
    return found


def side_by_side(columns: list[tuple[str, pd.DataFrame, pd.DataFrame, pd.DataFrame]]) -> str:
    """AUROC of each predictor (row) on the test pairs of each column: its head, all pairs, those of test, scores."""
    rows: dict[str, list[str]] = {"training pairs": [], "test pairs": [], "miRNAs in training": [], "in test": []}
    for _, pairs, test, found in columns:
        learn = pairs[pairs["split"] == "train"]
        numbers = [len(learn), len(test), learn["mirna_id"].nunique(), test["mirna_id"].nunique()]
        for name, n in zip(list(rows)[:4], numbers, strict=True):
            rows[name].append(f"{n:,}")
        for name in found:
            rows.setdefault(name, []).append(auroc(test["label"], found[name].to_numpy()))
    return markdown(("", *(head for head, *_ in columns)), [(name, *cells) for name, cells in rows.items()])


# ---------------------------------------------------------------------------------------------------------- the weights


def ship(final: pd.DataFrame) -> None:
    """Write the weights and their card."""
    model = trained("held out", final, STATES[0])
    test = final[final["split"] == "test"]
    measured = metrics.summarise(test["label"], predict.score(model, test))
    model.provenance |= {
        "data": f"{READ}+{HELWAK}",
        "left_out": [*dmiso.JUDGED_ON],
        "test": {metric: [round(float(v), 6) for v in row] for metric, *row in measured.itertuples(index=False)},
        "device": "cpu",
    }
    models.save(model, models.WEIGHTS / f"{NAME}.safetensors")
    (models.WEIGHTS / f"{NAME}.md").write_text(card(final))
    print(f"written: {models.WEIGHTS / NAME}.safetensors and .md", flush=True)


def card(final: pd.DataFrame) -> str:
    """The model card, Markdown."""
    model, learn = models.load(NAME), final[final["split"] == "train"]
    against = {"dmiso": models.load("dmiso"), "published": published()}
    found = {}
    for what, part in {"families held out": "test", "sites held out": "sites"}.items():
        own = {"against": against, "train": learn, "name": NAME}
        found[what] = evaluate.evaluate(model, final[final["split"] == part].drop(columns="split"), **own)
    for data, source in dmiso.JUDGED_ON.items():
        how = {"against": against, "train": datasets.load_pairs(f"{source}:train"), "name": NAME}
        found[data] = evaluate.evaluate(model, datasets.load_pairs(data), **how)
    queries = mitar.some_mirnas(learn)
    record = model.provenance
    settings = CONFIG | {key: value for key, value in record["settings"].items() if value is not None}
    return CARD.format(
        name=NAME,
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        licences=", ".join(f"`{name}` ({datasets.entry(name).licence})" for name in (READ, HELWAK)),
        **record | {"settings": ", ".join(f"{key} {value}" for key, value in settings.items())},
        n_families=f"{(final['split'] == 'test').sum():,}",
        n_sites=f"{(final['split'] == 'sites').sum():,}",
        figures=dmiso.figures(found),
        floors=mitar.floors(found),
        n_mirnas=len(queries),
        stride=model.stride,
        background=mitar.background(model, queries),
    )


CARD = """# {name}

DMISO's network (Talukder et al. 2022, Scientific Reports 12:10618): a convolution for each RNA, a BiLSTM along both,
{n_parameters:,} parameters; trained by mirscope on public chimeras with balanced negatives. Not the authors' weights.

**Use it** as DMISO's network without the bias of its negatives, to compare with. **Do not** take it for the best there
is on such pairs: see the floors.

## Training

- Positives: AGO2 chimeras with the miRNA or isomiR as read, AGO1 chimeras with the whole miRNA of which 20 nt are
  public. Data: {licences}.
- Negatives: `mirscope negatives --how repaired`, one for each positive, within each set and split: every miRNA and
  every site is a negative as often as a positive.
- {n[train]:,} training and {n[valid]:,} validation pairs. Held out: whole families of miRNAs with their sites
  ({n_families} pairs), and all that shares 20 nt with a test site of either set or of `clash_hejret2023_mirbench`
  ({n_sites} pairs). No family of miRNAs and no cluster of sites of training is in validation.
- Settings: {settings}.
- Kept epoch {best_epoch} of {epochs}: the best validation average precision, {valid[average_precision]:.4f} (AUROC
  {valid[auroc]:.4f}).
- Made by `python recipes/dmiso_chimeras.py` on one CPU core: the same command gives the same weights.

## Figures

Accuracy at 0.5, AUROC and average precision with 95 % bootstrap intervals. `dmiso` are the weights trained on Hejret's
chimeras and their own negatives; some of the families held out here were among its training pairs. `published` are the
authors' weights, which learned from pairs of Helwak's experiment that are not public.

{figures}

More, by isomiR and by exact miRNA: docs/dmiso_chimeras.md.

## Floors on the same pairs

AUROC of predictors that do not look at the duplex, or hardly; learned from the training part of the same set.

{floors}

## Calls on sequence without known sites

At score 0.5, {n_mirnas} miRNAs of the training pairs, 500 windows each (`mirscope evaluate --background`): share of
windows called, and calls per kb and miRNA at a stride of {stride} nt.

{background}

## Limits

- Chimeras of one human cell line (HEK293). Some of the negatives may bind: real miRNAs and real sites of those cells.
- Its negatives are sites of other miRNAs: it has not learned to tell a site from sequence without sites.
- Sites of Helwak's set with a test site of that set in their cluster are held out as well, so that its test is of sites
  never seen, unlike that of `dmiso_helwak`.
- Scores are not calibrated for scans: they hold at one negative a positive.
"""

DOCUMENT = """# DMISO's training set made anew

Made by `python recipes/dmiso_chimeras.py`. How and why so: [decision 031](decisions/031-dmiso-chimeras.md).

The pairs that DMISO (Talukder et al. 2022) learned from are not public. This is the nearest that is: positives of two
experiments, each miRNA part called as the miRNA or an isomiR of it ([`mirscope isomirs`](commands/isomirs.md)), with
negatives in the paper's way where there is a transcript to take them from, and in the balanced way always
([`mirscope negatives`](commands/negatives.md)).

{counts}

- Hejret: AGO2, the miRNA part as read (`clash_hejret2023_realseq`). Helwak: AGO1, of which only the first 20 nt of the
  miRNA are public (`clash_helwak2013_1to1`); its part is the miRNA that begins so, of equals the first by name.
- Parts that are no isomiR (ends further than 3 or 6 nt, more than 3 nt changed) are left out, and no pair is there
  twice. The paper asks for 10 reads of an isomiR; that is the column before the last, and not asked here.
- {n_placed} targets ({share_placed} %) stand, letter by letter, in one of {n_transcripts} human 3'UTRs (MirMark,
  MIRZA-G) and pieces of mRNAs: no public set here holds the transcripts of these reads.

All figures: AUROC [95 % interval, bootstrap of the pairs]; DMISO's network trained here is the mean logit of two
random states. `DMISO, published` are the authors' weights, which learned from pairs of Helwak's experiment: some of
the test pairs are likely among them.

## The paper's negatives

Positives that stand in a transcript, their targets {extension} nt longer downstream, half of the miRNAs for training
and half for testing. `same-transcript`: the paper's negatives, a window of the same transcript, 10 nt or more from the
sites, RNAcofold at -10 kcal/mol or less. `repaired`: the same positives, sites exchanged. *miRNAs*: halves of the
names, as the paper; *families, sites apart*: no family of miRNAs and no cluster of sites on both sides.

{paper}

- The network learns little of so few pairs. What it learns beside the paper's negatives is no help beside repaired
  ones, and what it learns beside these serves for both.
- The paper's .9945 is reached by nothing here, the authors' own weights included: the rule for negatives alone does not
  make it.

## Balanced negatives, halves of the miRNAs

All positives, one `repaired` negative for each, made within each half. 1: the first half learns, the second is asked;
2: the reverse.

{halves}

- No floor that reads one strand knows anything, so what the network has learned is of both. It is less than the energy
  of the duplex, of which it is told nothing.
- Halves of the names instead of whole families are worth .01 to .02: relatives and shared sites are recalled.

## Does it help to know the isomiR?

Test pairs of Hejret's, both halves (families, sites apart): the score of the part as read beside that of the miRNA in
its place. *Trained alike*: the network has learned from parts as read, or from miRNAs in their place; *trained as
read*: one network, asked twice. Differences with 95 % intervals (DeLong); negatives keep the part of their positive.

{isomirs}

- **No.** For the network it makes no difference, not even where the seed is another. Energy and miRanda rank slightly
  better with the miRNA's sequence: many of these parts are cut short, and what is missing may well have paired. Some
  of them may be pieces that the experiment made, not isomiRs that were in the cell.
- Scores are ranks among all parts of their half; that is why exact parts, which are the same, differ in the last
  digit.

## The weights `dmiso_chimeras`

Trained on all but two kinds of held-out pairs: a fifth of the pairs by whole families of miRNAs; and all sites that
share 20 nt with a test site of the published sets. `clash_hejret2023_mirbench:test` has the negatives of others
(miRBench). `dmiso`, `dmiso_helwak` and `duplex` have learned from many of these pairs (of the families held out
nearly all that are of their set; of the sites those that were no test sites).

{held_out}

- `dmiso_chimeras` is better than `dmiso` and the authors' weights on families and sites that it has not seen, and no
  worse on Hejret's. It is far below the energy, and below `duplex`, which computes with base pairs.
""".replace("{extension}", str(EXTENSION))

if __name__ == "__main__":
    main()
