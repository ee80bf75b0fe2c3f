"""The bundled weights duplex, duplex_clash and duplex_eclip: mirscope's own model.

    python recipes/duplex.py [NAME ...]

Measured labels are AGO2 chimeras (Hejret et al. 2023, bias-corrected), with negatives made by re-pairing, new in every
pass; soft labels are the logits that the published miRBind 2, taught by AGO2 eCLIP, gives to human windows. Settings
were chosen on validation only (docs/decisions/017-duplex-training.md).

Three networks, each with another part held out, give the validation figures and the calibration; then the network that
is bundled learns from all of it but the test sites. A minute a network on one CPU core; finished networks stay in
results/duplex/NAME. Writes src/mirscope/weights/NAME.safetensors, its card NAME.md (what stands under Scans there is
kept) and docs/images/duplex_reliability.svg.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from mirscope import cli, datasets, evaluate, metrics, models, negatives, plot, predict, rna, splits
from mitar import figures, floors, markdown

RUNS = Path("results/duplex")
CHIMERAS = "clash_hejret2023_mirbench"
MAPPED = "miraw"
SOFT = "softlabels_mirbind2"
TESTS = (CHIMERAS, "clash_hejret2023", "clash_hejret2023_realseq", "clash_helwak2013_1to1", MAPPED, "deepmirtar")
"""Sets whose test sites share no 20-mer with any site that is learned from or validated on."""
HELD = 0.12
"""Share of the chimeras, by families and again by clusters of sites, for validation."""
STATES = (1, 2, 3)


@dataclass(frozen=True)
class Sites:
    """Positive pairs, with the family of the miRNA and the cluster of the site of each."""

    pairs: pd.DataFrame
    families: NDArray[np.int64]
    clusters: NDArray[np.int64]

    def __getitem__(self, rows: NDArray) -> Sites:
        return Sites(self.pairs[rows], self.families[rows], self.clusters[rows])

    def __len__(self) -> int:
        return len(self.pairs)

    def labelled(self, random_state: negatives.Chance) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray]:
        """Rows of miRNAs and of sites, and labels: all positives, then negatives by re-pairing."""
        order, apart = negatives.repaired(self.families, self.clusters, random_state=random_state)
        rows = np.arange(len(self))
        labels = np.repeat([1.0, 0.0], [len(self), apart.sum()])
        return np.append(rows, rows[apart]), np.append(rows, order[apart]), labels

    def table(self, random_state: int) -> pd.DataFrame:
        """The same as pairs with labels."""
        mirnas, sites, labels = self.labelled(random_state)
        pairs = self.pairs.iloc[mirnas].reset_index(drop=True)
        target = self.pairs["target_seq"].to_numpy()[sites]
        return pairs.assign(target_seq=target, label=labels.astype(np.int8))


@dataclass(frozen=True)
class Evidence:
    """What a state learns from, and the validation sets.

    A: chimeras at new sites; B: chimeras of new families at new sites; R: mapped sites (miRAW) of those families at new
    sites. All with one re-paired negative a positive.
    """

    train: Sites
    soft: pd.DataFrame
    valid: dict[str, pd.DataFrame]
    left: pd.DataFrame
    """Soft labels of the families of B: how far the teacher is reproduced."""


@dataclass(frozen=True)
class Recipe:
    """How the labels weigh and how long to learn."""

    soft_weight: float = 1.0
    hard_weight: float = 4.0
    passes: int = 2
    """Over the soft labels."""
    n_soft: int = 512
    """Rows of each kind in a step."""
    n_hard: int = 128
    learning_rate: float = 0.01
    weight_decay: float = 0.001
    label_smoothing: float = 0.02
    shift: int = 12
    """Windows of chimeras are moved by up to so many nt ..."""
    shifted: float = 0.6
    """... with this probability."""
    context: bool = True
    smooth: float = 0.0
    """Weight of the squared differences of the pair scores of neighbouring positions."""


RECIPES = {
    "duplex": Recipe(),
    "duplex_clash": Recipe(soft_weight=0.0, hard_weight=1.0, passes=1),
    "duplex_eclip": Recipe(hard_weight=0.0),
}


JUDGED_ON = {
    f"{CHIMERAS}:test": CHIMERAS,
    "clash_hejret2023:test": "clash_hejret2023",
    "clash_helwak2013_1to1:test": "clash_helwak2013_1to1",
    "miraw:test": "miraw",
    "deepmirtar:test": "deepmirtar",
}
"""Pairs, and the set whose training part the floors learn from."""
SCANS = "## Scans\n\n<!-- scans -->\n"
CARD = """# {name}

mirscope's own model: the partition function of all duplexes of a miRNA and a window of {window} nt, {n_parameters:,}
learned energies. {what}

**Use it** for {use}.
`score` is a probability where one pair in two is a site; of the windows of a transcript far fewer are.

## Training

- Measured labels: `{data}` (licence: {licence}), {n[train]:,} pairs of {families:,} miRNA families: AGO2 chimeras and
  as many negatives made by re-pairing, new in every pass.
- Soft labels: `{soft_labels}` ({n[soft]:,} pairs): the logits that the published miRBind 2 (BioGeMT,
  https://github.com/BioGeMT/miRBind_2.0, MIT licence) gives to human windows. It was trained on AGO2 eCLIP (Manakov et
  al. 2022), and what it passes on is that: no measured label of a pair, and with the teacher's own faults.{role}
- Windows that share 20 nt with a test site are in neither. Test sites are those of {tests}.
- Settings: {settings}.
- Made by `python recipes/duplex.py {name}` on one CPU core: the same command gives the same weights.

## Validation

Average precision of three networks that were trained like this one with a part held out, another part each: A, chimeras
at new sites; B, chimeras of new miRNA families at new sites; R, mapped sites (miRAW) of those families at new sites,
four in five of them with a seed match (of A a quarter). One re-paired negative a positive. All choices were made here.

{validation}

{teacher}

## Figures

Accuracy at 0.5, AUROC and average precision with 95 % bootstrap intervals. Only the first set says how well sites are
found: in the others the miRNA's name, the composition or the negatives give the label away (see the floors, and
docs/audits.md).

{figures}

On `{data}:test` the mean logit of three such networks (random states 1, 2, 3) has AUROC
{three_auroc:.4f} and average precision {three_ap:.4f}; the bundled file is the first of them.

## Floors on the same pairs

AUROC of predictors that do not look at the duplex, or hardly; learned from the training part of the same set.

{floors}

## Calibration

The logits of held-out pairs were fitted (Platt: slope {calibration[slope]:.3f}, shift {calibration[shift]:+.3f};
A, B and R count the same) and the fit is part of the weights. Calibration error and Brier loss at one site in two:

{reliability}

{scans}
## Limits

- Human AGO2. A pair's energies are those of AGO2's groove as far as chimeras and eCLIP show them; nothing is known of
  other proteins, of the cell's concentrations or of the accessibility of the site.
- Binding is not repression: chimeras seldom have a seed match and say little on how much a gene is lowered.
- Give it windows of about 50 nt: sites cut to their duplex (deepmirtar, 22 nt) lack the flanks that it reads.
- miRNAs are read up to {mirna_length} nt; a window longer than {window} nt is scored by its best part.
- miRNAs of the test pairs occur in training, as in every published split of these chimeras; B says what new families
  get.
"""
WHAT = {
    "duplex": (
        "Taught by measured labels (AGO2 chimeras) and soft labels (AGO2 eCLIP) together.",
        "sites of any kind: it is the default",
        "",
    ),
    "duplex_clash": (
        "Taught by measured labels alone, AGO2 chimeras.",
        "asking whether chimeras (CLASH) support a site, beside `duplex` and `duplex_eclip`",
        " Here they only set the scale of log Z, and teach nothing.",
    ),
    "duplex_eclip": (
        "Taught by soft labels alone, what AGO2 eCLIP taught another network.",
        "asking whether eCLIP supports a site, beside `duplex` and `duplex_clash`; it weighs the seed most",
        " Here they are all that is learned from; measured labels only set the scale of log Z.",
    ),
}


@functools.cache
def sources() -> tuple[Sites, Sites, pd.DataFrame, NDArray[np.int64]]:
    """Chimeras, mapped sites and soft labels without what shares a 20-mer with a test site; families of the last."""
    tests = [datasets.load_pairs(f"{name}:test")["target_seq"] for name in TESTS]
    chimeras, mapped = (positives(name) for name in (CHIMERAS, MAPPED))
    soft = datasets.load_pairs(SOFT)[["mirna_seq", "target_seq", "teacher_logit", "source"]]
    soft["teacher_logit"] = pd.to_numeric(soft["teacher_logit"])
    soft = soft[~shares(soft["target_seq"], pd.concat(tests))]
    family = _groups(splits.families, [chimeras["mirna_seq"], mapped["mirna_seq"], soft["mirna_seq"]])
    cluster = _groups(splits.clusters, [chimeras["target_seq"], mapped["target_seq"], *tests])
    tested = {cluster[target] for part in tests for target in part}
    known, other = (
        Sites(pairs, pairs["mirna_seq"].map(family).to_numpy(), pairs["target_seq"].map(cluster).to_numpy())
        for pairs in (chimeras, mapped)
    )
    known, other = (sites[~np.isin(sites.clusters, list(tested))] for sites in (known, other))
    return known, other, soft, soft["mirna_seq"].map(family).to_numpy()


def evidence(random_state: int | None) -> Evidence:
    """The sets of a draw; `None` holds nothing out for validation."""
    known, other, soft, families = sources()
    if random_state is None:
        return Evidence(known, soft, {}, soft[:0])

    rng = np.random.default_rng(random_state)
    in_b = np.isin(known.families, _some(known.families, rng, largest=0.05))
    in_a = ~in_b & np.isin(known.clusters, _some(known.clusters[~in_b], rng))
    train = known[~in_a & ~in_b & ~np.isin(known.clusters, known.clusters[in_b])]
    in_r = np.isin(other.families, known.families[in_b]) & ~np.isin(other.clusters, train.clusters)
    held = {"A": known[in_a], "B": known[in_b & ~np.isin(known.clusters, train.clusters)], "R": other[in_r]}

    new = np.isin(families, held["B"].families)
    near = shares(soft["target_seq"], pd.concat([sites.pairs["target_seq"] for sites in held.values()]))
    valid = {name: sites.table(number) for number, (name, sites) in enumerate(held.items())}
    return Evidence(train, soft[~new & ~near], valid, soft[new & ~near])


def shares(targets: pd.Series, others: pd.Series) -> NDArray[np.bool_]:
    """Whether each target has a 20-mer in common with any of the others, (n,)."""
    rows, codes = splits.kmers(targets.tolist(), splits.SITE_K)
    found = np.zeros(len(targets), dtype=bool)
    found[rows[np.isin(codes, splits.kmers(others.tolist(), splits.SITE_K)[1])]] = True
    return found


def positives(name: str) -> pd.DataFrame:
    """The distinct positive pairs of a set that are not its test."""
    pairs = datasets.load_pairs(name)
    pairs = pairs[(pairs["label"] == 1) & (pairs["split"] != "test")]
    return pairs.drop_duplicates(["mirna_seq", "target_seq"])


def learn(known: Evidence, recipe: Recipe, random_state: int) -> models.Model:
    """A network at the end of one cycle; nothing is stopped early."""
    torch.manual_seed(random_state)
    rng = np.random.default_rng(random_state)
    model = models.create("duplex", context=recipe.context).train()
    scale = torch.nn.Parameter(torch.tensor([1.0, 0.0]))  # from our logit to the teacher's; thrown away in the end
    free = [*model.norm.parameters(), scale]
    kept = [p for name, p in model.named_parameters() if not name.startswith("norm")]
    groups = [{"params": kept, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    mirna, target = _codes(model, known.soft)
    logit = torch.tensor(known.soft["teacher_logit"].to_numpy(np.float32)).clamp(-7, 7)
    steps = recipe.passes * math.ceil(len(logit) / recipe.n_soft)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps, pct_start=0.2)
    chimeras = _chimeras(model, known.train, recipe, rng)
    for _ in range(recipe.passes):
        for rows in torch.from_numpy(rng.permutation(len(logit))).split(recipe.n_soft):
            hard_mirna, hard_target, label = next(chimeras)
            found = model(torch.cat([mirna[rows], hard_mirna]), torch.cat([target[rows], hard_target]))
            soft, hard = found.split([len(rows), len(label)])
            loss = recipe.soft_weight * F.smooth_l1_loss(scale[0] * soft + scale[1], logit[rows], beta=2.0)
            loss = loss + recipe.hard_weight * F.binary_cross_entropy_with_logits(hard, label)
            optimizer.zero_grad()
            (loss + recipe.smooth * model.pair.diff(dim=0).square().sum()).backward()
            torch.nn.utils.clip_grad_norm_([*kept, *free], 5.0)
            optimizer.step()
            cycle.step()
    return model.eval()


def _chimeras(
    model: models.Model, sites: Sites, recipe: Recipe, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches of codes and smoothed labels without end, every pass with new negatives and new shifts of the windows."""
    mirna, target = _codes(model, sites.pairs)
    wide = F.pad(target, (recipe.shift, recipe.shift), value=rna.N)
    places = torch.arange(target.shape[1]) + recipe.shift
    while True:
        m, s, label = sites.labelled(rng)
        order = rng.permutation(len(label))
        for low in range(0, len(order) - recipe.n_hard + 1, recipe.n_hard):
            rows = order[low : low + recipe.n_hard]
            by = rng.integers(-recipe.shift, recipe.shift + 1, len(rows)) * (rng.random(len(rows)) < recipe.shifted)
            windows = wide[s[rows]].gather(1, places + torch.from_numpy(by)[:, None])
            smooth = label[rows] * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
            yield mirna[m[rows]], windows, torch.tensor(smooth, dtype=torch.float32)


@torch.inference_mode()
def logits(model: models.Model, pairs: pd.DataFrame) -> NDArray[np.float64]:
    """Of pairs within the window, (n,)."""
    return model(*_codes(model, pairs)).double().numpy()


def average_precisions(sets: dict[str, pd.DataFrame], found: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Of logits of each set, and their mean."""
    each = {name: metrics.average_precision_score(pairs["label"], found[name]) for name, pairs in sets.items()}
    return each | {"mean": float(np.mean(list(each.values())))}


def _codes(model: models.Model, pairs: pd.DataFrame) -> tuple[Tensor, ...]:
    return model.encode(pairs["mirna_seq"].tolist(), pairs["target_seq"].tolist())


def _groups(rule, columns: list[pd.Series]) -> dict[str, int]:
    distinct = pd.concat(columns).unique()
    return dict(zip(distinct, rule(distinct.tolist()), strict=True))


def _some(groups: NDArray[np.int64], rng: np.random.Generator, *, largest: float = 1.0) -> NDArray[np.int64]:
    """Groups that hold `HELD` of the rows together, none of them more than `largest`."""
    names, counts = np.unique(groups, return_counts=True)
    order = rng.permutation(np.flatnonzero(counts <= largest * len(groups)))
    n_taken = np.searchsorted(np.cumsum(counts[order]), HELD * len(groups)) + 1
    return names[order[:n_taken]]


def main(names: list[str]) -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    for name in names:
        recipe, held, teacher = RECIPES[name], [], []
        for state in STATES:
            known = evidence(state)
            model = learned(name, f"held_out_{state}", known, recipe, state)
            for part, pairs in known.valid.items():
                held.append(pairs[["label"]].assign(state=state, part=part, logit=logits(model, pairs)))
            teacher.append(np.corrcoef(logits(model, known.left), known.left["teacher_logit"])[0, 1])
        everything = evidence(None)
        states = [learned(name, f"all_{state}", everything, recipe, state) for state in STATES]
        table = pd.concat(held)
        slope, shift = platt(table)
        for model in states:
            calibrate(model, slope, shift)
        record(states[0], everything, recipe, table, (slope, shift))
        models.save(states[0], models.WEIGHTS / f"{name}.safetensors")
        write_card(name, recipe, everything, table, states, float(np.mean(teacher)))
        print(f"written: {models.WEIGHTS / name}.safetensors and .md", flush=True)


def learned(name: str, part: str, known: Evidence, recipe: Recipe, random_state: int) -> models.Model:
    """The network of a finished run, or a new one."""
    path = RUNS / name / f"{part}.safetensors"
    if not path.is_file():
        model = learn(known, recipe, random_state)
        model.provenance = {"settings": asdict(recipe)}
        path.parent.mkdir(parents=True, exist_ok=True)
        models.save(model, path)
    model = models.load(path)
    if model.provenance["settings"] != asdict(recipe):
        raise SystemExit(f"{path} was made with other settings; remove it first")
    return model


def platt(held: pd.DataFrame) -> tuple[float, float]:
    """Slope and shift that make logits of held-out pairs those of probabilities; each part counts the same."""
    from sklearn.linear_model import LogisticRegression

    weights = 1 / held.groupby("part")["label"].transform("size")
    fit = LogisticRegression(C=np.inf).fit(held[["logit"]].to_numpy(), held["label"], sample_weight=weights)
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def calibrate(model: models.Model, slope: float, shift: float) -> None:
    """Fold slope and shift of the logits into the network's own last two numbers."""
    with torch.no_grad():
        model.norm.weight *= slope
        model.norm.bias.mul_(slope).add_(shift)


def record(
    model: models.Model, known: Evidence, recipe: Recipe, held: pd.DataFrame, calibration: tuple[float, float]
) -> None:
    """Fill the provenance."""
    test = datasets.load_pairs(f"{CHIMERAS}:test")
    measured = metrics.summarise(test["label"], predict.score(model, test))
    model.provenance = {
        "data": CHIMERAS if recipe.hard_weight else "",
        "soft_labels": SOFT if recipe.soft_weight else "",
        "left_out": [f"{name}:test" for name in TESTS],
        "n": {"train": 2 * len(known.train), "soft": len(known.soft), "test": len(test)},
        "settings": asdict(recipe) | {"random_state": STATES[0]},
        "valid": {part: [round(value, 6) for value in row] for part, row in by_state(held).items()},
        "calibration": {"slope": round(calibration[0], 6), "shift": round(calibration[1], 6), "prevalence": 0.5},
        "test": {metric: [round(float(v), 6) for v in row] for metric, *row in measured.itertuples(index=False)},
        "device": "cpu",
    }


def by_state(held: pd.DataFrame) -> dict[str, list[float]]:
    """The average precision of each state on A, B, R, and their mean."""
    found = {
        part: [metrics.average_precision_score(rows["label"], rows["logit"]) for _, rows in table.groupby("state")]
        for part, table in held.groupby("part")
    }
    return found | {"mean": np.mean(list(found.values()), 0).tolist()}


def write_card(
    name: str, recipe: Recipe, known: Evidence, held: pd.DataFrame, states: list[models.Model], teacher: float
) -> None:
    """The model card, and for the default the picture of its calibration."""
    model = models.load(name)
    found = {
        data: evaluate.evaluate(model, datasets.load_pairs(data), train=datasets.load_pairs(f"{train}:train"))
        for data, train in JUDGED_ON.items()
    }
    test = datasets.load_pairs(f"{CHIMERAS}:test")
    together = np.mean([logits(state, test) for state in states], 0)
    slope, shift = (model.provenance["calibration"][key] for key in ("slope", "shift"))
    scores = {}
    for part, table in held.groupby("part"):
        calibrated = (slope * table["logit"] + shift).to_numpy(np.float32)
        scores[f"held out, {part}"] = (table["label"], predict.probability(calibrated))
    scores[f"{CHIMERAS}:test"] = (test["label"], predict.score(model, test))
    reliability = [
        (key, f"{metrics.calibration_error(*pair):.3f}", f"{metrics.brier_loss(*pair):.3f}")
        for key, pair in scores.items()
    ]
    if name == "duplex":
        curves = [metrics.curves(*pair).assign(predictor=key) for key, pair in list(scores.items())[-1:]]
        plot.save(plot.reliability(pd.concat(curves)), "docs/images/duplex_reliability.svg")
    what, use, role = WHAT[name]
    path = models.WEIGHTS / f"{name}.md"
    old = path.read_text() if path.is_file() else ""
    scans = old[old.index("## Scans") : old.index("## Limits")] if "## Scans" in old else f"{SCANS}\n"
    card = CARD.format(
        name=name,
        what=what,
        use=use,
        role=role,
        window=model.lengths[1],
        mirna_length=model.lengths[0],
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        licence=datasets.entry(CHIMERAS).licence,
        families=len(np.unique(known.train.families)),
        tests=", ".join(f"`{test}`" for test in TESTS),
        validation=markdown(
            ("", *(f"network {state}" for state in STATES), "mean"),
            [(part, *(f"{v:.3f}" for v in row), f"{np.mean(row):.3f}") for part, row in by_state(held).items()],
        ),
        teacher=f"On miRNA families that were held out it reproduces the teacher's logits with r = {teacher:.3f}.",
        figures=figures(found),
        floors=floors(found),
        three_auroc=metrics.auroc_score(test["label"], together),
        three_ap=metrics.average_precision_score(test["label"], together),
        reliability=markdown(("pairs", "calibration error", "Brier loss"), reliability),
        scans=scans,
        **model.provenance | {"settings": ", ".join(f"{k} {v}" for k, v in model.provenance["settings"].items())},
    )
    path.write_text(card)


if __name__ == "__main__":
    main(sys.argv[1:] or list(RECIPES))
