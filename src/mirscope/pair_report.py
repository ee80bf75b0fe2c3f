"""The page of one miRNA and one gene: its sites by several models, how many come by chance, and why they are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import dropwhile, takewhile
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import poisson

from mirscope import annotation, interpret, io, models, plot, runs, scan
from mirscope.annotation import Annotation
from mirscope.errors import InputError
from mirscope.io import Record
from mirscope.models import Model
from mirscope.page import Links, Note, Page, Part, Picture, Section, Table, Tiles, made, share, shown

EXPLAINED = 3
"""Best sites of each model that are drawn."""
LISTED = 25
"""Best sites of each model in its table."""


@dataclass(frozen=True)
class Target:
    """A transcript, and the gene it stands for."""

    record: Record
    lengths: dict[str, int]
    """nt of each transcript of the gene, this one among them; of this one alone where its own id was asked for."""
    accessions: tuple[str, ...]
    """Of the transcript and its gene, at Ensembl or RefSeq, without versions."""
    symbol: str
    """Of the gene; empty: not known."""


@dataclass(frozen=True)
class Found:
    """What a model finds."""

    settings: scan.Settings
    sites: pd.DataFrame
    """Columns of `tables.SITES`: of the target, the best first."""
    by_chance: float
    """Sites expected in as many nt of shuffled transcript; NaN: not counted."""
    is_least: bool
    """Whether there may be more of these."""
    n_sites: dict[str, int]
    """In each transcript of the gene."""


def find(transcripts: Iterable[Record], target: str, genes: Annotation | Mapping[str, str] | None = None) -> Target:
    """The transcript of this id, or the longest one of this gene (of equals the first id in the alphabet).

    Args:
        transcripts: read twice.
        target: an id, or what `annotation.names` finds: an id without its version, a gene, a part of an id with bars.
        genes: of the transcripts.

    Raises:
        InputError: there is none.
    """
    lengths = {record.id: len(record.sequence) for record in transcripts}
    names = annotation.names(list(lengths), genes)
    if target in lengths:
        lengths = {target: lengths[target]}
    else:
        own = (names == annotation.plain_id(target)).any(axis=1)
        if not own.any():
            known = f"{len(lengths):,} transcripts ({', '.join([*lengths][:3])} ...)"
            hint = "" if genes is not None else "; genes take --genes or --gtf"
            raise InputError(f"neither a transcript nor a gene of {known}{hint}", record=target)
        lengths = {name: lengths[name] for name in names.index[own]}
    longest = min(lengths, key=lambda name: (-lengths[name], name))
    record = next(record for record in transcripts if record.id == longest)
    known_as = dict(names.loc[longest])
    possible = [known_as.get("gene_name", ""), known_as.get("gene_id", ""), target]
    return Target(
        record,
        lengths,
        tuple(dict.fromkeys(name for name in [annotation.short_id(longest), *known_as.values()] if _addresses(name))),
        next((name for name in possible if _SYMBOL.fullmatch(name) and not _addresses(name)), ""),
    )


def look(
    network: Model,
    mirna: Record,
    transcripts: Iterable[Record],
    target: Target,
    *,
    settings: scan.Settings | None = None,
    threads: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> Found:
    """The sites of a miRNA on the target, as `scan.scan` finds them in all transcripts.

    All of them are scanned, since the rates of false sites and the q-values are of all of them.

    Args:
        network: stays as it is.
        mirna: mature sequence.
        transcripts: read several times; they are shuffled to tell how many sites come by chance.
        target: of them.
        settings: what is called a site; `scan.BACKGROUND` nt are shuffled whatever the model, unless told otherwise.
        threads: processes that share the scan.
        report: called with the nt of transcripts done, as they are done.
    """
    settings = settings or scan.Settings()
    given = scan.settle(settings, network)
    if settings.background is None and not given.background:
        given = replace(given, background=scan.BACKGROUND)
    how: dict[str, Any] = {"settings": replace(given, duplexes=False), "threads": threads}
    alone = given.background is not None and given.background <= scan.BACKGROUND  # done before processes have started
    shuffle = how | {"threads": 1 if alone else threads}
    how["background"] = background = scan.shuffled_sites(network, [mirna], transcripts, **shuffle)
    table = scan.scan(network, [mirna], transcripts, report=report, **how)
    rate, is_least = np.nan, False
    if background:
        least = scan.least_logits(network, [mirna], transcripts, **how)[0]
        rate = given.fp_per_kb or background.rate(0, least)
        is_least = given.candidates == "peaks" and bool((least < background.logits[0]).all())  # weaker ones are dropped
    own = table[table["target_id"] == target.record.id]
    by = {"fp_per_kb": True, "score": False} if background else {"score": False}
    own = own.sort_values([*by], ascending=[*by.values()], kind="stable", ignore_index=True)
    texts = [target.record.sequence[low:high] for low, high in zip(own["start"], own["end"], strict=True)]
    duplexes = network.duplexes([mirna.sequence] * len(own), texts)
    own = own.assign(**{name: values for name, values in duplexes.items() if name == "mfe"})
    counts = table["target_id"].value_counts()
    n_sites = {name: int(counts.get(name, 0)) for name in target.lengths}
    return Found(given, own, rate * len(target.record.sequence) / 1000, is_least, n_sites)


def page(
    networks: Mapping[str, Model],
    mirna: Record,
    transcripts: Iterable[Record],
    target: str,
    *,
    genes: Annotation | Mapping[str, str] | None = None,
    settings: scan.Settings | None = None,
    notes: Iterable[str] = (),
    inputs: Mapping[str, object] | None = None,
    threads: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> Page:
    """The page of `mirscope report`.

    Args:
        networks: of a miRNA and a target, by name; the first speaks first.
        mirna: mature sequence.
        transcripts: as for `look`.
        target: id of one of them, or a gene, as for `find`.
        genes: of the transcripts.
        settings: what is called a site; each model's own where nothing is asked for.
        notes: of the miRNA, to be seen first.
        inputs: files and what tells them from others.
        threads: processes that share the scan.
        report: called with the nt of transcripts done by a model, as they are done.
    """
    aim = find(transcripts, target, genes)
    found = {
        name: look(network, mirna, transcripts, aim, settings=settings, threads=threads, report=report)
        for name, network in networks.items()
    }
    first: list[Part] = [*map(Note, notes), Tiles(dict(_tile(*each) for each in found.items()))]
    first += [_words(*each) for each in found.items()]
    if any(one.settings.background for one in found.values()):
        first.append(_BY_CHANCE)
    sections = [Section("In short", first), Section("Where the sites are", [_track(found, aim)])]
    if len(aim.lengths) > 1:
        sections.append(Section("Transcripts of the gene", [_isoforms(found, aim, target)]))
    sections += [
        Section(f"Sites by {name}", _sites(networks[name], mirna, aim, one))
        for name, one in found.items()
        if len(one.sites)
    ]
    trust = [_OF_PAIRS, *(part for name, network in networks.items() for part in _trust(name, network))]
    sections += [Section("How far to trust the models", trust), *_links(mirna.id, aim)]
    facts = {"miRNA": mirna.sequence, "transcript": aim.record.id, **(inputs or {})}
    facts |= {f"weights of {name}": models.fingerprint(network) for name, network in networks.items()}
    names = vars(next(iter(found.values())).settings)
    settled = {key: {name: vars(one.settings)[key] for name, one in found.items()} for key in names}
    sections.append(made(runs.environment(), facts, {"Settings": settled}))
    of = target if target == aim.record.id else f"{target}: transcript {aim.record.id}"
    lead = f"{mirna.id}: {mirna.sequence} ({len(mirna.sequence)} nt). {of} ({len(aim.record.sequence):,} nt)."
    return Page(f"{mirna.id} and {target}", lead, sections)


# --------------------------------------------------------------------------------------------------------------- sites

_BY_CHANCE = Note(
    "By chance: sites that the model calls in as many nt of the same transcripts shuffled, their dinucleotides kept. "
    "False sites per kb: those of them that are as good. q-value: the share of false ones among all sites of the miRNA "
    "at least as good, in all transcripts of the file. All speak of binding as the model sees it, not of repression. "
    "Scores of models are not comparable with each other; these rates are."
)


def _chance(found: Found) -> str:
    return f"{'at least ' * found.is_least}{shown(found.by_chance)}"


def _tile(name: str, found: Found) -> tuple[str, int]:
    """A label and the number of sites."""
    chance = f"; {_chance(found)} by chance" if found.settings.background else ""
    return f"{'site' if len(found.sites) == 1 else 'sites'} by {name}{chance}", len(found.sites)


def _words(name: str, found: Found) -> str:
    """How many sites and how many by chance, the best, how sure."""
    own, settings = found.sites, found.settings
    called = f"{settings.fp_per_kb:g} false sites per kb" if settings.fp_per_kb else f"score {settings.threshold:g}"
    many = "no site" if own.empty else "1 site" if len(own) == 1 else f"{len(own):,} sites"
    told = f"{name} calls {many} at {called}"
    if not settings.background:
        told += "; how many come by chance was not counted."
    elif len(own) and poisson.sf(len(own) - 1, found.by_chance) > 0.05:
        told += f", not clearly more than the {_chance(found)} expected by chance."
    else:
        told += f", where {_chance(found)} are expected by chance."
    if own.empty:
        return told
    best = own.iloc[0]
    seed = f"seed match {best['seed_type']}" if best["seed_type"] else "no seed match"
    told += f" The best is at nt {_place(best)} (score {best['score']:.3g}, {seed})"
    if not settings.background:
        return f"{told}."
    return f"{told}: {best['fp_per_kb']:.3g} false sites per kb are as good, q-value {best['q_value']:.3g}."


def _place(site: pd.Series) -> str:
    return f"{site['start'] + 1:,}–{site['end']:,}"


def _track(found: Mapping[str, Found], target: Target) -> Picture:
    by_rate = all(one.settings.background for one in found.values())
    figure = Figure(figsize=(11, 1.7 + 0.36 * len(found)), layout="constrained")
    drawn = plot.sites(
        pd.concat([one.sites.assign(mirna_id=name) for name, one in found.items()], ignore_index=True),
        target_id=target.record.id,
        length=len(target.record.sequence),
        mirna_ids=[*found],
        by="fp_per_kb" if by_rate else "score",
        ax=figure.add_subplot(),
    )
    dark = "where shuffled transcript has few as good" if by_rate else "where the score is high"
    caption = f"A row for each model. A bar is a site, dark {dark}; a mark above it is its best seed match."
    return Picture(drawn, caption, wide=True)


def _isoforms(found: Mapping[str, Found], target: Target, gene: str) -> Table:
    rows = {"transcript": [*target.lengths], "nt": [*target.lengths.values()]}
    rows |= {f"sites by {name}": [*one.n_sites.values()] for name, one in found.items()}
    table = pd.DataFrame(rows).sort_values(["nt", "transcript"], ascending=[False, True], kind="stable")
    return Table(table, f"Of {gene}, in the file. This page is of the longest; the id of another makes a page of it.")


_COLUMNS = {
    "score": "score",
    "fp_per_kb": "false sites per kb",
    "q_value": "q-value",
    "seed_type": "seed match",
    "mfe": "energy (kcal/mol)",
}


def _sites(network: Model, mirna: Record, target: Target, found: Found) -> list[Part]:
    own, best = found.sites, found.sites[:EXPLAINED]
    table = own[[name for name in _COLUMNS if name in own]].rename(columns=_COLUMNS)
    table.insert(0, "nt", [_place(site) for _, site in own.iterrows()])
    many = f"The best {LISTED} of {len(own):,}" if len(own) > LISTED else "Best first"
    caption = f"{many}; nt from 1 (start in sites.tsv of mirscope scan is one less)."
    methods: tuple[interpret.Method, ...] = ("mutate", "gradient") if network.soft else ("mutate",)
    texts = [target.record.sequence[low:high] for low, high in zip(best["start"], best["end"], strict=True)]
    pairs = pd.DataFrame({"mirna_seq": mirna.sequence, "target_seq": texts})
    parts: list[Part] = [Table(table[:LISTED], caption)]
    for explained, (_, site) in zip(interpret.explain(network, pairs, methods=methods), best.iterrows(), strict=True):
        strands = [
            replace(strand, start=strand.start + (int(site["start"]) if strand.name == "target" else 0))
            for strand in explained.strands
        ]
        explained = replace(explained, strands=tuple(strands))
        known = [m for m in methods if not any(np.isnan(explained.support(one, m)).any() for one in strands)]
        told = f"nt {_place(site)}: its duplex. Letters are as high as what they do for the logit; up supports it."
        wide = site["end"] - site["start"] > 30
        parts.append(Picture(interpret.draw(explained, network, known), told, wide=wide))
    return parts


# --------------------------------------------------------------------------------------------------------------- trust

_MEASURES = ("auroc", "calibration_error", "sensitivity", "specificity")
_FIGURES, _FLOORS = "Figures", "Floors on the same pairs"
_CALLS = ("Calls on sequence without known sites", "Scans")
"""Sections of model cards."""


_OF_PAIRS = Note(
    "The figures below are of labelled pairs, many of which bind. Of the windows of a transcript few do: there look at "
    "the sites by chance and the false sites per kb above, not at these figures, nor at scores."
)


def _trust(name: str, network: Model) -> list[Part]:
    """What its provenance and its card tell."""
    known = network.provenance
    test, learned = known.get("test", {}), " and ".join(filter(None, (known.get("data"), known.get("soft_labels"))))
    origin = f"was imported from {known['imported_from']}" if "imported_from" in known else "has learned nothing"
    told = f"{name} {f'learned from {learned}' if learned else origin}."
    if all(isinstance(value, list) and None not in value for value in map(test.get, _MEASURES)):
        auroc, error, sensitivity, specificity = (test[measure] for measure in _MEASURES)
        told += f" On its test pairs: AUROC {_interval(auroc)}, calibration error {_interval(error)}; at score 0.5 it "
        told += f"calls {share(sensitivity[0], 1)} of those that bind and {share(1 - specificity[0], 1)} of the others."
    if fitted := known.get("calibration"):
        told += f" Its scores were fitted to be probabilities where {share(fitted['prevalence'], 1)} of the pairs bind"
    elif test:
        told += " Its scores were not calibrated: if anything, they are probabilities for pairs like its test pairs"
    else:
        told += " Its scores need not be probabilities"
    told += "."
    card = _card(network)
    if _FLOORS not in card:
        how = f"mirscope evaluate {name} DATA measures it beside them, on labelled pairs"
        return [f"{told} Its floors are not known: {how}."]
    parts: list[Part] = [told]
    floors = _with_floors(models.named(network), card)
    numbers = floors.iloc[:, 1:].apply(lambda column: pd.to_numeric(column.str.partition(" ")[0]))
    worse = numbers.iloc[:, 1:].max(axis=1) >= numbers.iloc[:, 0]
    if worse.any():
        sets = ", ".join(floors.iloc[:, 0][worse])
        parts.append(Note(f"A floor is as good as {name} or better on {sets}: its figures there show no more."))
    caption = (
        f"AUROC of {name} (95 % interval) and of its floors: what a name, the composition, the seed or the duplex "
        "energy alone reach on the same pairs."
    )
    parts.append(Table(floors, caption))
    calls = [(title, *card[title]) for title in _CALLS if title in card]
    return parts + [Table(table, f"{name}, {title[0].lower()}{title[1:]}. {text}") for title, text, table in calls]


def _with_floors(name: str, card: Mapping[str, tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """The card's floors, a set of pairs a row, after the model's own AUROC there."""
    figures, floors = card[_FIGURES][1], card[_FLOORS][1].copy()
    if "weights" in figures:
        figures = figures[figures["weights"] == name]
    own = floors["pairs"].map(figures.set_index("pairs")["AUROC"]).fillna("")
    floors.insert(1, name, own.str.replace("[", "(").str.replace("]", ")").str.replace(", ", "–"))
    return floors[own != ""].reset_index(drop=True)


def _card(network: Model) -> dict[str, tuple[str, pd.DataFrame]]:
    """Of each section of the model card, by its title, the text before its first table, and that; values are text."""
    found = {}
    for section in models.card(network).split("\n## ")[1:]:
        title, *lines = section.replace("`", "").splitlines()
        text = " ".join(takewhile(lambda line: not _is_row(line), lines))
        table = takewhile(_is_row, dropwhile(lambda line: not _is_row(line), lines))
        header, *rows = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table] or [[]]
        found[title] = text.strip(), pd.DataFrame(rows[1:], columns=header, dtype=str)
    return found


def _is_row(line: str) -> bool:
    return line.startswith("|")


def _interval(measured: list[float]) -> str:
    value, low, high = measured
    return f"{value:.3f} (95 % {low:.3f}–{high:.3f})"


# --------------------------------------------------------------------------------------------------------------- links

_ACCESSIONS = (
    ("Ensembl", re.compile(r"ENS[A-Z]{0,6}[GT]\d{11}"), "https://www.ensembl.org/id/"),
    ("NCBI", re.compile(r"[NX][MR]_\d{6,9}"), "https://www.ncbi.nlm.nih.gov/nuccore/"),
)
_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9]*([.-][A-Za-z0-9]+)*")
_MIRNA = re.compile(r"(?:([a-z]{3,4})-)?(?:mi[rR]|let|lin|bantam)\b.*")
_TARGETSCAN = {"": ("vert", "Human"), "hsa": ("vert", "Human"), "mmu": ("mmu", "Mouse")}
"""By the species of the miRNA."""


def _addresses(name: str) -> dict[str, str]:
    """Where a name is told of that is an id of Ensembl or RefSeq; nothing of any other."""
    return {f"{name} at {site}": start + name for site, form, start in _ACCESSIONS if form.fullmatch(name)}


def _links(mirna: str, target: Target) -> list[Section]:
    found, species = {}, ""
    for name in io.references_of(mirna) or mirna.split(io.OR_MIRNA):
        if known := _MIRNA.fullmatch(name):
            species = known[1] or ""
            found[f"{name} at miRBase (a search)"] = f"https://www.mirbase.org/results/?query={quote(name)}"
    for name in target.accessions:
        found |= _addresses(name)
    if symbol := target.symbol:
        found[f"{symbol} at NCBI Gene (a search)"] = f"https://www.ncbi.nlm.nih.gov/gene/?term={symbol}%5Bsym%5D"
        if species in _TARGETSCAN:
            release, animal = _TARGETSCAN[species]
            query = f"species={animal}&gid={symbol}&mir_sc=&mir_c=&mir_nc=&mir_vnc=&mirg="
            address = f"https://www.targetscan.org/cgi-bin/targetscan/{release}_80/targetscan.cgi?{query}"
            found[f"{symbol} at TargetScan{animal} (a search)"] = address
    words = "Other pages, for a reader with a network; nothing of them is loaded here."
    return [Section("Elsewhere", [words, Links(found)])] if found else []
