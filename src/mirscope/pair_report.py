"""The page of one miRNA and one transcript: its sites by several models, how sure, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

import pandas as pd

from mirscope import interpret, models, plot, runs, scan
from mirscope.errors import InputError
from mirscope.io import Record
from mirscope.models import Model
from mirscope.page import Facts, Links, Note, Page, Part, Picture, Section, Table, Tiles

EXPLAINED = 3
"""Best sites of each model that are drawn."""
_COLUMNS = ("start", "end", "score", "fp_per_kb", "q_value", "seed_type", "mfe")


def sites(
    network: Model,
    mirna: Record,
    transcripts: Iterable[Record],
    target: str,
    *,
    settings: scan.Settings | None = None,
    threads: int = 1,
) -> pd.DataFrame:
    """The rows of `scan.scan` of the miRNA in all transcripts that are of the target, the best first.

    All transcripts are scanned, since the rates of false sites and the q-values are of all of them.
    """
    table = scan.scan(network, [mirna], transcripts, settings=settings, threads=threads)
    own = table[table["target_id"] == target]
    by = "fp_per_kb" if "fp_per_kb" in own else "score"
    return own.sort_values(by, ascending=by != "score", kind="stable", ignore_index=True)


def find(transcripts: Iterable[Record], target: str) -> Record:
    """The transcript of this id.

    Raises:
        InputError: there is none.
    """
    for record in transcripts:
        if record.id == target:
            return record
    raise InputError("no such transcript", record=target)


def page(
    networks: Sequence[Model],
    mirna: Record,
    transcripts: Iterable[Record],
    target: str,
    *,
    settings: scan.Settings | None = None,
    threads: int = 1,
) -> Page:
    """The page of `mirscope report`.

    Args:
        networks: of a miRNA and a target; the first speaks first.
        mirna: mature sequence.
        transcripts: read several times; they are the background too.
        target: id of one of them.
        settings: what is called a site; each model's own where nothing is asked for.
        threads: processes that share the scan.
    """
    record = find(transcripts, target)
    settled = [scan.settle(settings, network) for network in networks]
    found = [sites(network, mirna, transcripts, target, settings=settings, threads=threads) for network in networks]
    names = [models.named(network) for network in networks]
    whole = pd.concat([own.assign(mirna_id=name) for name, own in zip(names, found, strict=True)], ignore_index=True)
    drawn = plot.sites(whole, target_id=target, length=len(record.sequence))
    counts = {f"sites by {name}": len(own) for name, own in zip(names, found, strict=True)}
    first: list[Part] = [_words(*each) for each in zip(names, found, settled, strict=True)]
    first += [Tiles(counts | {"nt of transcript": len(record.sequence)}), _TRUST]
    sections = [
        Section("In short", first),
        Section("Where the sites are", [Picture(drawn, "Sites by model (bars) and seed matches (marks).", wide=True)]),
    ]
    sections += [
        Section(f"Sites by {name}", _sites(network, mirna, record, own))
        for name, network, own in zip(names, networks, found, strict=True)
        if len(own)
    ]
    sections += [
        Section("How far to trust the models", [part for network in networks for part in _trust(network)]),
        Section("Elsewhere", ["These open other pages; nothing here needs them.", Links(_links(mirna.id, target))]),
        _made(mirna, record, names, settled),
    ]
    return Page(f"{mirna.id} and {target}", f"{mirna.sequence}, {len(mirna.sequence)} nt", sections)


_TRUST = Note(
    "fp_per_kb: sites as good or better that this miRNA has in a kb of the same transcripts shuffled. q_value: the "
    "share of false ones among its sites at least as good, in all transcripts of the file. Both speak of binding as "
    "the model sees it, not of repression; scores of models are not comparable with each other."
)


def _words(name: str, own: pd.DataFrame, settings: scan.Settings) -> str:
    """How many sites, the best, how sure."""
    called = f"{settings.fp_per_kb:g} false sites per kb" if settings.fp_per_kb else f"score {settings.threshold:g}"
    if not len(own):
        return f"{name} calls no site, at {called}."
    best = own.iloc[0]
    many = "1 site" if len(own) == 1 else f"{len(own):,} sites"
    seed = f"seed match {best['seed_type']}" if best["seed_type"] else "no seed match"
    told = f"{name} calls {many}, at {called}. The best is at nt {best['start'] + 1:,}-{best['end']:,} "
    told += f"(score {best['score']:.3g}, {seed})"
    if "q_value" not in own:
        return f"{told}. How many sites are false was not counted."
    return (
        f"{told}: {best['fp_per_kb']:.3g} sites as good per kb of shuffled transcript, q-value {best['q_value']:.3g}."
    )


def _sites(network: Model, mirna: Record, record: Record, own: pd.DataFrame) -> list[Part]:
    shown = own[[name for name in _COLUMNS if name in own]].rename(columns={"seed_type": "seed"})
    caption = "Best first; start is 0-based, end is not in it, as in sites.tsv of mirscope scan."
    best = own[:EXPLAINED]
    texts = [record.sequence[low:high] for low, high in zip(best["start"], best["end"], strict=True)]
    pairs = pd.DataFrame({"mirna_seq": mirna.sequence, "target_seq": texts})
    methods: tuple[interpret.Method, ...] = ("mutate", "gradient") if network.soft else ("mutate",)
    parts: list[Part] = [Table(shown, caption)]
    for found, start, end in zip(
        interpret.explain(network, pairs, methods=methods), best["start"], best["end"], strict=True
    ):
        told = f"nt {start + 1:,}-{end:,}: its duplex; letters as high as what they do for the logit, up supports it."
        wide = end - start > 30
        parts.append(Picture(interpret.draw(found, network, methods), f"{told} Places are of the site.", wide=wide))
    return parts


def _trust(network: Model) -> list[Part]:
    name, test = models.named(network), network.provenance.get("test", {})
    known = {key: test[key] for key in ("auroc", "calibration_error") if isinstance(test.get(key), list)}
    if not known:
        return [f"{name}: no figures of a held-out test come with it; its scores need not be probabilities."]
    words = {"auroc": "AUROC", "calibration_error": "calibration error"}
    told = ", ".join(f"{words[key]} {v:.3f} (95 % {low:.3f}-{high:.3f})" for key, (v, low, high) in known.items())
    return [
        f"{name}: {told} on the test of its training set, {network.provenance.get('data', 'not named')}. A score is a "
        "probability where as many pairs bind as there (mostly one in two); of a transcript's windows far fewer do. "
        f"What the miRNA's name, composition, seed and duplex energy alone reach (floors): mirscope models info {name}."
    ]


def _links(mirna: str, target: str) -> dict[str, str]:
    targetscan = "https://www.targetscan.org/cgi-bin/targetscan/vert_80/targetscan.cgi?gs="
    return {
        f"{mirna} at miRBase": f"https://www.mirbase.org/results/?query={quote(mirna)}",
        f"{target} at TargetScan": targetscan + quote(target),
    }


def _made(mirna: Record, record: Record, names: Sequence[str], settled: Sequence[scan.Settings]) -> Section:
    run = runs.environment()
    facts: dict[str, Any] = {"command": " ".join(map(str, run["command"])), "finished": run["finished"]}
    facts |= {"Python": run["python"], **run["versions"], "miRNA": mirna.sequence, "transcript": record.id}
    parts: list[Part] = [Facts(facts)]
    for name, settings in zip(names, settled, strict=True):
        parts += [f"Settings of {name}:", Facts({key.replace("_", " "): v for key, v in vars(settings).items()})]
    return Section("How this was made", parts)
