"""Many calls of fit and predict: benchmarks over repeated splits, ablations, searches for settings.

An experiment lives in a folder and can be killed at any time: the same call does what is missing and nothing else. So
one that is done can also be made larger, by more runs, competitors or trials.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import itertools
import json
import logging
import math
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from mirscope import datasets, io, metrics, models, plot, predict, splits, train, workers
from mirscope.errors import InputError, UsageError
from mirscope.models import Unlabelled
from mirscope.runs import environment, write_json

log = logging.getLogger(__name__)

Rule = Literal["given", "random", "kfold", "family-kfold", "family", "gene", "cluster", "all"]

_NO_SETTINGS: Mapping[str, Any] = {}


def _ignore(n: int) -> None:
    pass


# ---------------------------------------------------------------------------------------------------------- benchmark


@dataclass(frozen=True)
class Competitor:
    """What is compared: a network that each run trains afresh, or weights (or a model without any) that are scored.

    `model` is a name of `models.names` to train, or bundled weights under another name, or a weight file. `config` are
    settings of the network, `settings` those of training; `settings.random_state` grows by 1 with each run.
    """

    title: str
    model: str
    config: Mapping[str, Any] = field(default_factory=dict)
    settings: train.Settings = field(default_factory=train.Settings)

    @property
    def is_trained(self) -> bool:
        """Whether each run trains it."""
        return self.model in models.names() and models.needs_weights(self.model)


@dataclass(frozen=True)
class Protocol:
    """How each run divides the pairs; the defaults are miTAR's: 64/16/20 at random, 30 times."""

    rule: Rule = "random"
    """Of `splits.RULES`, or `given`: the table's own column, the same in each run."""
    n_runs: int = 30
    """Random draws, or the parts of a k-fold cross-validation."""
    test: float = 0.2
    """Share of all pairs; of cross-validation 1 / n_runs instead."""
    valid: float = 0.2
    """Share of what test leaves; of `given` where the table has no such part."""
    random_state: int = 0
    """Of the first draw; each run adds 1."""

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule):
            raise UsageError(f"no rule {self.rule!r} to split by; expected one of {', '.join(get_args(Rule))}")
        if self.n_runs < 1:
            raise UsageError(f"{self.n_runs} runs; expected 1 or more")
        if not (0 < self.test < 1 and 0 < self.valid < 1):
            raise UsageError(f"shares are {self.test} for test and {self.valid} for valid; expected above 0, below 1")

    def divide(self, pairs: pd.DataFrame, run: int) -> dict[str, pd.DataFrame]:
        """The training, validation and test pairs of a run (0, 1, ...)."""
        if self.rule == "given":
            if "split" not in pairs or not (pairs["split"] == "train").any():
                raise InputError("the pairs have no split of their own; expected another rule")
            split = splits.carve(pairs, share=self.valid, random_state=self.random_state)
        elif self.rule == "kfold" or self.rule == "family-kfold":
            chance = self.random_state
            split = splits.make(pairs, self.rule, random_state=chance, valid=self.valid, n_parts=self.n_runs, part=run)
        else:
            chance = self.random_state + run
            split = splits.make(pairs, self.rule, random_state=chance, test=self.test, valid=self.valid)
        return {part: pairs[split == part] for part in datasets.SPLITS}


def benchmark(
    competitors: Sequence[Competitor],
    pairs: pd.DataFrame,
    folder: Path,
    *,
    protocol: Protocol | None = None,
    unlabelled: Unlabelled | None = None,
    processes: int = 1,
    progress: Callable[[int], None] = _ignore,
) -> pd.DataFrame:
    """Train and test every competitor on the same splits; runs that are in `folder` already are not repeated.

    The test pairs of a run are scored once and decide nothing: when to stop and which epoch to keep is decided by the
    validation pairs. The rows are the same with any number of processes, but for their seconds.

    Args:
        competitors: with distinct titles.
        pairs: columns of `tables.PAIRS` with labels.
        folder: made if needed; gets `runs.parquet`, and in `scores/` the test scores of each run.
        protocol: of the splits.
        unlabelled: what networks that pretrain begin with; default `train.unlabelled`.
        processes: runs at the same time, each with one torch thread.
        progress: called with the number of runs that got done.

    Returns:
        A row for each competitor and run: competitor, run (0, 1, ...), n_train, n_valid, n_test, epochs, best_epoch
        (both 0 where nothing is trained), each of `metrics.METRICS` on the test pairs, seconds, setup (JSON of all
        settings).

    Raises:
        UsageError: two competitors of one title, or `folder` holds runs of that title with other settings.
        InputError: labels or parts are missing.
    """
    protocol, pairs = protocol or Protocol(), _labelled(pairs)
    titles = [competitor.title for competitor in competitors]
    if len({_file(title, 0) for title in titles}) < len(titles):
        raise UsageError(f"two competitors have one title: {', '.join(titles)}")
    for competitor in competitors:
        _check(competitor, pairs)
    if protocol.divide(pairs, 0)["test"].empty:  # also shows what cannot be divided, before there is a folder
        raise InputError("the pairs have no test part; expected another rule")
    if unlabelled is None and any(_pretrains(competitor) for competitor in competitors):
        unlabelled = train.unlabelled()
    setups = {competitor.title: _setup(competitor, pairs, protocol, unlabelled) for competitor in competitors}
    rows = _read_rows(folder / "runs.parquet")
    for row in rows:
        if row["competitor"] in setups:
            _same(json.loads(row["setup"]), setups[row["competitor"]], f"{folder} holds runs of {row['competitor']}")
    done = {(row["competitor"], row["run"]) for row in rows}
    wanted = [(competitor, run) for run in range(protocol.n_runs) for competitor in competitors]
    missing = [(competitor, run) for competitor, run in wanted if (competitor.title, run) not in done]
    progress(len(wanted) - len(missing))

    (folder / "scores").mkdir(parents=True, exist_ok=True)
    bench = _Bench(pairs, protocol, folder, unlabelled)
    for (competitor, run), (row, warnings) in workers.carry_out(_run, bench, missing, processes=processes):
        for message in warnings:
            log.warning("%s", message)
        rows.append(row | {"setup": json.dumps(setups[competitor.title])})
        io.write_table(pd.DataFrame(rows), folder / "runs.parquet")
        shutil.rmtree(_under_way(folder, competitor, run), ignore_errors=True)
        reached = f"AUROC {row['auroc']:.4f}, accuracy {row['accuracy']:.4f}"
        log.info("%s, run %d: %s  %.0f s", competitor.title, run, reached, row["seconds"])
        progress(1)
    with contextlib.suppress(OSError):
        (folder / "under_way").rmdir()
    keys = [(competitor.title, run) for competitor, run in wanted]
    return pd.DataFrame(rows).set_index(["competitor", "run"]).loc[keys].reset_index()


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean and 2.5 and 97.5 percentiles over the runs of `benchmark`.

    Runs in which a metric is undefined do not count for it.

    Returns:
        Columns competitor, metric, n_runs, mean, low, high; a row for each competitor and each of `metrics.METRICS`.
    """
    rows = []
    for title, own in runs.groupby("competitor", sort=False):
        for metric in metrics.METRICS:
            values = own[metric].dropna().to_numpy(float)
            mean, low, high = (values.mean(), *np.percentile(values, [2.5, 97.5])) if len(values) else [math.nan] * 3
            rows.append((title, metric, len(values), float(mean), float(low), float(high)))
    return pd.DataFrame(rows, columns=["competitor", "metric", "n_runs", "mean", "low", "high"])


def compare(runs: pd.DataFrame, competitor: str, other: str) -> pd.DataFrame:
    """How much a competitor is ahead of another, over the splits that both met.

    By the corrected resampled t-test (Nadeau and Bengio 2003, Machine Learning 52:239): the training parts of the runs
    overlap, so that their differences are not independent, and the variance of the mean is taken as s² (1/k + n_test /
    n_train) instead of s² / k. Of a split that is the same in each run only the random state differs: there it is
    s² / k, and says nothing of other pairs.

    Args:
        runs: of `benchmark`.
        competitor: its title.
        other: the title of the other one.

    Returns:
        Columns competitor, other, metric, n_runs, difference (of the means), low, high (95 %), p (two-sided), n_ahead
        (runs in which `competitor` is better); NaN where runs are fewer than two or do not differ.
    """
    both = [runs[runs["competitor"] == title].set_index("run") for title in (competitor, other)]
    rows = []
    for metric in metrics.METRICS:
        difference = (both[0][metric] - both[1][metric]).dropna()
        k, mean = len(difference), float(difference.mean()) if len(difference) else math.nan
        met = both[0].loc[difference.index]
        overlap = float((met["n_test"] / (met["n_train"] + met["n_valid"])).mean()) if k else 0.0
        if k and all(json.loads(setup)["protocol"]["rule"] == "given" for setup in met["setup"]):
            overlap = 0.0
        error = math.sqrt((1 / k + overlap) * float(difference.var(ddof=1))) if k > 1 else math.nan
        reach = float(stdtrit(k - 1, 0.975)) * error if k > 1 else math.nan
        p = 2 * float(stdtr(k - 1, -abs(mean) / error)) if k > 1 and error > 1e-12 else math.nan
        sign = -1 if metric.endswith(("_loss", "_error")) else 1
        ahead = int((sign * difference > 0).sum())
        rows.append((competitor, other, metric, k, mean, mean - reach, mean + reach, p, ahead))
    columns = ["competitor", "other", "metric", "n_runs", "difference", "low", "high", "p", "n_ahead"]
    return pd.DataFrame(rows, columns=columns)


def compare_scores(
    runs: pd.DataFrame, folder: Path, competitor: str, other: str, *, n_resamples: int = 200
) -> pd.DataFrame:
    """The same within each run, from the scores of its test pairs: AUROC by DeLong, AP and accuracy by bootstrap.

    Args:
        runs: of `benchmark`.
        folder: of that benchmark.
        competitor: its title.
        other: the title of the other one.
        n_resamples: of the bootstrap of a run.

    Returns:
        Columns competitor, other, run, metric, method, difference, low, high, p.
    """
    rows = []
    for run in sorted(set.intersection(*(set(runs["run"][runs["competitor"] == t]) for t in (competitor, other)))):
        a, b = (pd.read_parquet(folder / "scores" / _file(title, run)) for title in (competitor, other))
        assert a["row"].equals(b["row"])
        scores = (a["label"], a["score"], b["score"])
        found = {
            ("auroc", "DeLong"): metrics.delong(*scores),
            **{
                (metric, "bootstrap"): metrics.paired_bootstrap(*scores, metric=metric, n_resamples=n_resamples)
                for metric in ("average_precision", "accuracy")
            },
        }
        rows += [
            (competitor, other, run, metric, method, d.value, d.low, d.high, d.p)
            for (metric, method), d in found.items()
        ]
    columns = ["competitor", "other", "run", "metric", "method", "difference", "low", "high", "p"]
    return pd.DataFrame(rows, columns=columns)


def write(runs: pd.DataFrame, folder: Path) -> dict[str, pd.DataFrame]:
    """Write what a benchmark says: runs.tsv, summary.tsv, benchmark.json, benchmark.png and .svg.

    The first competitor is compared with each other one, in comparisons.tsv and within_runs.tsv.

    Returns:
        The tables by name: `summary`, `comparisons`, and `within_runs` where there is more than one competitor.
    """
    first, *others = runs["competitor"].unique()
    found = {"summary": summary(runs)}
    if others:
        found["comparisons"] = pd.concat([compare(runs, first, other) for other in others], ignore_index=True)
        within = [compare_scores(runs, folder, first, other) for other in others]
        found["within_runs"] = pd.concat(within, ignore_index=True)
    for name, table in {"runs": runs.drop(columns="setup"), **found}.items():
        io.write_table(table, folder / f"{name}.tsv")
    setups = {title: json.loads(setup) for title, setup in zip(runs["competitor"], runs["setup"], strict=True)}
    tables = {name: _records(table) for name, table in found.items() if name != "within_runs"}
    write_json(folder / "benchmark.json", {"setups": setups} | tables | environment())
    plot.save_all(plot.intervals(found["summary"], metric="auroc"), folder, "benchmark")
    return found


# ----------------------------------------------------------------------------------------------------------- ablation


def ablations(name: str) -> dict[str, dict[str, Any]]:
    """What an architecture's paper left out or changed in turn, by title: `config`, `settings`, `published` figures.

    `published` is {data set: {metric: value}}; any of the three may be missing. The first is the network itself.

    Raises:
        UsageError: the architecture names none.
    """
    found: dict[str, dict[str, Any]] = _constant(name, "ABLATIONS")
    return found


def ablate(
    name: str,
    pairs: pd.DataFrame,
    folder: Path,
    *,
    config: Mapping[str, Any] = _NO_SETTINGS,
    settings: train.Settings | None = None,
    **how: Any,
) -> pd.DataFrame:
    """The rows of a `benchmark` of an architecture's `ablations`.

    Args:
        name: the architecture.
        pairs: as `benchmark` takes them.
        folder: as `benchmark` takes it.
        config: of the network, for all, but for what an ablation changes.
        settings: of training, for all.
        how: protocol, unlabelled, processes and progress of `benchmark`.
    """
    competitors = [
        Competitor(
            title,
            name,
            {**config, **ablation.get("config", {})},
            replace(settings or train.Settings(), **ablation.get("settings", {})),
        )
        for title, ablation in ablations(name).items()
    ]
    return benchmark(competitors, pairs, folder, **how)


def ablation_table(runs: pd.DataFrame, name: str, data: str = "") -> pd.DataFrame:
    """An ablation beside its paper.

    Args:
        runs: of `ablate`.
        name: the architecture.
        data: the data set, to find the paper's figures of that one.

    Returns:
        A row for each ablation: competitor, n_runs; of accuracy, AUROC, AP and each metric with a published figure the
        mean, METRIC_low, METRIC_high (percentiles over the runs); difference, difference_low, difference_high, p
        (accuracy less the first row's, see `compare`); published_METRIC on that data set; published, all that the paper
        says, where it says nothing of that data set.
    """
    listed = {title: ablation.get("published", {}) for title, ablation in ablations(name).items()}
    on = data.partition(":")[0]
    shown = dict.fromkeys(
        ("accuracy", "auroc", "average_precision", *(m for f in listed.values() for m in f.get(on, {})))
    )
    means = {(row["competitor"], row["metric"]): row for row in summary(runs).to_dict("records")}
    first, known = str(runs["competitor"].iloc[0]), any(on in figures for figures in listed.values())
    rows = []
    for title, figures in listed.items():
        row: dict[str, Any] = {"competitor": title, "n_runs": means[title, "accuracy"]["n_runs"]}
        for metric in shown:
            found = means[title, metric]
            row |= {metric: found["mean"], f"{metric}_low": found["low"], f"{metric}_high": found["high"]}
        against = compare(runs, title, first).set_index("metric").loc["accuracy"]
        row |= {"difference": against["difference"], "difference_low": against["low"]}
        row |= {"difference_high": against["high"], "p": against["p"]}
        row |= {f"published_{metric}": value for metric, value in figures.get(on, {}).items()}
        rows.append(row | {"published": _published({on: figures[on]} if on in figures else {} if known else figures)})
    return pd.DataFrame(rows)


def _published(figures: Mapping[str, Mapping[str, float]]) -> str:
    """All figures in words."""
    return "; ".join(
        f"{', '.join(f'{metric} {value:g}' for metric, value in measured.items())} ({on})"
        for on, measured in figures.items()
    )


def write_ablation(runs: pd.DataFrame, folder: Path, name: str, data: str = "") -> pd.DataFrame:
    """Write `ablation_table` as ablation.tsv and ablation.png and .svg, and what `write` writes; gives the table."""
    found, table = write(runs, folder), ablation_table(runs, name, data)
    io.write_table(table, folder / "ablation.tsv")
    published = table.set_index("competitor").get("published_accuracy")
    plot.save_all(plot.intervals(found["summary"], metric="accuracy", published=published), folder, "ablation")
    return table


# ------------------------------------------------------------------------------------------------------------- search


@dataclass(frozen=True)
class Range:
    """Numbers from low to high; whole ones where both are; evenly spaced in the logarithm where `log` says so."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise UsageError(f"range {self.low}:{self.high}; expected the lower end first, above 0 for a logarithm")


Space = Mapping[str, Sequence[Any] | Range]
"""Settings of the network or of training, each with its choices."""

N_TRIALS = 50
"""Of TPE, unless told otherwise."""


def search_space(name: str) -> Space:
    """The settings that an architecture's paper tried.

    Raises:
        UsageError: the architecture names none.
    """
    found: Space = _constant(name, "SEARCH")
    return found


def search(
    name: str,
    pairs: pd.DataFrame,
    folder: Path,
    *,
    space: Space | None = None,
    config: Mapping[str, Any] = _NO_SETTINGS,
    settings: train.Settings | None = None,
    method: Literal["tpe", "grid"] = "tpe",
    n_trials: int | None = None,
    pruner: Literal["median", "hyperband", "none"] = "median",
    rule: Rule | None = None,
    random_state: int = 0,
    unlabelled: Unlabelled | None = None,
    processes: int = 1,
    progress: Callable[[int], None] = _ignore,
) -> pd.DataFrame:
    """Train a network with many settings; the best is the one with the best `settings.monitor` on validation pairs.

    The test pairs are laid aside before anything is done. Trials that are in `folder` already are not repeated; one
    that was killed is begun anew. With one process the trials depend on nothing but the arguments; with several, TPE
    proposes by what is finished at that moment.

    Args:
        name: the architecture.
        pairs: columns of `tables.PAIRS` with labels.
        folder: made if needed; gets trials.journal (of Optuna), trials.tsv, best.json, search.png and .svg.
        space: what to try; default `search_space`.
        config: of the network, where the space does not say.
        settings: of training, where the space does not say.
        method: `tpe` proposes by what did well (Bergstra et al. 2011), `N_TRIALS` unless told otherwise; `grid` is
            every combination, or the first `n_trials` of them in a random order.
        n_trials: at most, those in `folder` included.
        pruner: what stops a trial early: `median`, a validation measure below the median of the trials before it, at
            the same epoch; `hyperband` (Li et al. 2018); or `none`.
        rule: of `Protocol`; default the table's own split, at random where it has none.
        random_state: of the split, of the order of a grid and of what TPE proposes; `settings.random_state` is that of
            each training.
        unlabelled: what a network that pretrains begins with; default `train.unlabelled`.
        processes: trials at the same time, each with one torch thread.
        progress: called with the number of trials that got done.

    Returns:
        A row for each trial, in their order: the columns `TRIAL`, then each setting of the space. `state` is complete,
        pruned or diverged (scores are no numbers any more); `value` is the best measure reached, NaN where diverged.

    Raises:
        UsageError: no such setting or choice, or `folder` holds another search.
        InputError: labels or parts are missing.
    """
    settings, space = settings or train.Settings(), space or search_space(name)
    _check_space(name, space, config, settings, method)
    pairs = _labelled(pairs)
    if rule is None:
        rule = "given" if "split" in pairs and (pairs["split"] == "train").any() else "random"
    parts = Protocol(rule, 1, random_state=random_state).divide(pairs, 0)
    learn, valid = parts["train"], parts["valid"]
    pretrains = models.create(name, **config).pretrains
    unlabelled = (unlabelled or train.unlabelled()) if pretrains else None
    setup = {
        "model": name,
        "config": asdict(models.create(name, **config).config),
        "settings": asdict(settings),
        "space": {key: asdict(c) if isinstance(c, Range) else list(c) for key, c in space.items()},
        "method": method,
        "pruner": pruner,
        "random_state": random_state,
        "pairs": [_checksum(learn), _checksum(valid)],
        "unlabelled": unlabelled and unlabelled.fingerprint(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    study = _study(folder, pruner)
    _same(study.user_attrs.get("setup", setup), setup, f"{folder} holds a search")
    study.set_user_attr("setup", setup)
    grid = _grid(space, random_state) if method == "grid" else []
    _enqueue(study, grid)
    n_trials = min(n_trials or len(grid), len(grid)) if grid else n_trials or N_TRIALS
    n_done = len(_trials(study))
    progress(n_done)

    task = _Task(name, config, settings, folder, pruner, learn, valid, unlabelled)
    proposals = (_propose(study, space, random_state) for _ in range(n_done, n_trials))
    for number, warnings in workers.carry_out(_attempt, task, proposals, processes=processes):
        for message in warnings:
            log.warning("%s", message)
        table = _trials(study)
        io.write_table(table, folder / "trials.tsv")
        row = table[table["trial"] == number].to_dict("records")[0]
        tried = ", ".join(
            f"{key} {row[key]:.4g}" if isinstance(row[key], float) else f"{key} {row[key]}" for key in space
        )
        log.info("trial %d: %s, %s %.4f  (%s)", number, row["state"], settings.monitor, row["value"], tried)
        progress(1)
    shutil.rmtree(folder / "under_way", ignore_errors=True)
    table = _trials(study)
    io.write_table(table, folder / "trials.tsv")
    plot.save_all(plot.trials(table, list(space), measure=settings.monitor), folder, "search")
    write_json(folder / "best.json", {**best(table, name, config, settings), "n_trials": len(table), **environment()})
    return table


def best(
    trials: pd.DataFrame, name: str, config: Mapping[str, Any] = _NO_SETTINGS, settings: train.Settings | None = None
) -> dict[str, Any]:
    """The best complete trial of a search, of equals the first: trial, value, and the `config` and `settings` to train.

    Raises:
        InputError: no trial is complete.
    """
    complete = trials[trials["state"] == "complete"]
    if complete.empty:
        raise InputError(f"none of {len(trials)} trials is complete; expected a lower learning rate or other pruner")
    row = max(_records(complete), key=lambda row: row["value"])
    tried = {key: value for key, value in row.items() if key not in TRIAL}
    own, training = divide(name, tried)
    return {
        "model": name,
        "trial": row["trial"],
        "value": row["value"],
        "config": {**config, **own},
        "settings": asdict(settings or train.Settings()) | training,
    }


TRIAL = ("trial", "state", "value", "epochs", "best_epoch", "seconds")
"""Columns of a search's table before those of its space."""


@dataclass(frozen=True)
class _Task:
    """What all trials of a search share."""

    name: str
    config: Mapping[str, Any]
    settings: train.Settings
    folder: Path
    pruner: str
    learn: pd.DataFrame
    valid: pd.DataFrame
    unlabelled: Unlabelled | None


def _attempt(task: _Task, number: int) -> list[str]:
    """Train with the settings of a trial, and leave what came out in the study; gives warnings."""
    optuna, study = _optuna(), _study(task.folder, task.pruner)
    trial = optuna.trial.Trial(study, number)  # of the one study in a journal, id and number are the same
    own, training = divide(task.name, trial.params)
    settings = replace(task.settings, **training)
    reached: list[float] = []
    began, state = time.perf_counter(), "complete"

    def report(row: Mapping[str, float]) -> None:
        reached.append(row[f"valid_{settings.monitor}"])
        trial.report(reached[-1], len(reached))
        if trial.should_prune():
            raise optuna.TrialPruned

    work = task.folder / "under_way" / str(number)
    with _quiet() as warnings:
        try:
            how: dict[str, Any] = {
                "settings": settings,
                "config": {**task.config, **own},
                "unlabelled": task.unlabelled,
            }
            train.fit(task.name, task.learn, task.valid, work, **how, report=report)
        except optuna.TrialPruned:
            state = "pruned"
        except InputError as error:  # the pairs are checked: scores are no numbers any more
            log.debug("trial %d: %s", number, error)
            state = "diverged"
        finally:
            shutil.rmtree(work, ignore_errors=True)
    value = max(reached) if reached and state != "diverged" else 0.0  # the worst: where it was, TPE should not go again
    best_epoch = reached.index(value) + 1 if value in reached else 0
    for key, fact in zip(TRIAL[1:], (state, value, len(reached), best_epoch, time.perf_counter() - began), strict=True):
        trial.set_user_attr(key, fact)
    kind = optuna.trial.TrialState.PRUNED if state == "pruned" else optuna.trial.TrialState.COMPLETE
    study.tell(number, None if state == "pruned" else value, state=kind)
    return warnings


def _grid(space: Space, random_state: int) -> list[dict[str, Any]]:
    """Every combination, in a random order."""
    choices = [list(each) for each in space.values() if not isinstance(each, Range)]
    grid = [dict(zip(space, values, strict=True)) for values in itertools.product(*choices)]
    return [grid[place] for place in np.random.default_rng(random_state).permutation(len(grid))]


def _enqueue(study: Any, grid: Sequence[dict[str, Any]]) -> None:
    """Let the study begin with what of the grid was not tried yet, and with trials whose process was killed."""
    for params in grid:
        study.enqueue_trial(params, skip_if_exists=True)
    for trial in study.trials:
        if trial.state.name == "RUNNING":
            study.tell(trial.number, state=_optuna().trial.TrialState.FAIL)
            study.enqueue_trial(trial.params)


def _propose(study: Any, space: Space, random_state: int) -> int:
    """The number of a new trial, enqueued ones first. What was killed leaves no trace in what is drawn."""
    n_before = sum(trial.state.name != "FAIL" for trial in study.trials)
    chance = np.random.SeedSequence([random_state, n_before]).generate_state(1)[0]
    study.sampler = _optuna().samplers.TPESampler(seed=int(chance))
    return int(study.ask({key: _distribution(choices) for key, choices in space.items()}).number)


def _distribution(choices: Sequence[Any] | Range) -> Any:
    distributions = _optuna().distributions
    if not isinstance(choices, Range):
        return distributions.CategoricalDistribution(list(choices))
    whole = isinstance(choices.low, int) and isinstance(choices.high, int)
    kind = distributions.IntDistribution if whole else distributions.FloatDistribution
    return kind(choices.low, choices.high, log=choices.log)


def _study(folder: Path, pruner: str) -> Any:
    """The search in a folder; a new one where there is none."""
    optuna = _optuna()
    journal = optuna.storages.journal.JournalFileBackend(str(folder / "trials.journal"))
    kinds = {
        "median": optuna.pruners.MedianPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
        "none": optuna.pruners.NopPruner,
    }
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(journal),
        study_name="search",
        direction="maximize",
        load_if_exists=True,
        pruner=kinds[pruner](),
    )


def _trials(study: Any) -> pd.DataFrame:
    """The trials that are done, in their order."""
    rows = [
        {"trial": trial.number} | {key: trial.user_attrs[key] for key in TRIAL[1:]} | trial.params
        for trial in study.trials
        if trial.state.name in ("COMPLETE", "PRUNED")
    ]
    table = pd.DataFrame(rows, columns=None if rows else list(TRIAL))
    return table.assign(value=table["value"].where(table["state"] != "diverged"))


def _check_space(name: str, space: Space, config: Mapping[str, Any], settings: train.Settings, method: str) -> None:
    """Settings that do not exist or cannot be show before the first trial."""
    if method not in ("tpe", "grid"):
        raise UsageError(f"no method {method!r}; expected tpe or grid")
    if not space:
        raise UsageError("nothing to search; expected at least one setting with its choices")
    for key, choices in space.items():
        if method == "grid" and isinstance(choices, Range):
            raise UsageError(f"{key} is a range; a grid needs a list of choices")
        ends = (choices.low, choices.high) if isinstance(choices, Range) else choices
        if not ends:
            raise UsageError(f"{key} has no choices")
        for value in ends:
            own, training = divide(name, {key: value})
            models.create(name, **{**config, **own})
            replace(settings, **training)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UsageError("a search needs optuna: pip install 'mirscope[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


# ----------------------------------------------------------------------------------------------- settings from a text


def parse_setting(text: str) -> tuple[str, Any]:
    """Name and value of `NAME=VALUE`; what is no number, truth value or None of Python is a text."""
    name, equals, value = text.partition("=")
    if not (equals and name and value):
        raise UsageError(f"{text!r}: expected NAME=VALUE")
    return name, _value(value)


def parse_choices(text: str) -> tuple[str, Sequence[Any] | Range]:
    """Name and choices of `NAME=LOW:HIGH`, `NAME=LOW:HIGH:log` or `NAME=VALUE,VALUE,...`."""
    name, equals, choices = text.partition("=")
    if not (equals and name and choices):
        raise UsageError(f"{text!r}: expected NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE,...")
    if ":" not in choices:
        return name, [_value(choice) for choice in choices.split(",")]
    low, high, *more = choices.split(":")
    lower, upper = _value(low), _value(high)
    if more not in ([], ["log"]) or not isinstance(lower, int | float) or not isinstance(upper, int | float):
        raise UsageError(f"{text!r}: expected NAME=LOW:HIGH or NAME=LOW:HIGH:log with numbers")
    return name, Range(lower, upper, log=bool(more))


def parse_competitor(text: str, common: Mapping[str, Any] = _NO_SETTINGS) -> Competitor:
    """The competitor of `MODEL` or `MODEL,NAME=VALUE,...`, its text the title.

    Args:
        text: a name or weight file, and settings of the network or of training.
        common: settings for those that are trained, where the text does not say.
    """
    model, *settings = text.split(",")
    competitor = Competitor(text, model)
    own = dict(parse_setting(setting) for setting in settings)
    if not competitor.is_trained:
        return replace(competitor, config=own)
    config, training = divide(model, {**common, **own})
    return replace(competitor, config=config, settings=train.Settings(**training))


def divide(name: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of the network, and those of training (`train.Settings`), told apart by name and checked.

    Raises:
        UsageError: neither has a setting of that name, or the value is of another kind.
    """
    kinds = get_type_hints(train.Settings)
    training = {key: value for key, value in values.items() if key in kinds}
    own = {key: value for key, value in values.items() if key not in kinds}
    known = asdict(models.create(name).config)
    for key in own.keys() - known.keys():
        raise UsageError(f"{name} has no setting {key!r}; it has {', '.join(known)}; training has {', '.join(kinds)}")
    models.create(name, **own)
    for key, value in training.items():
        if get_origin(kinds[key]) is Literal:
            if value not in get_args(kinds[key]):
                raise UsageError(f"{key} is {value!r}; expected one of {', '.join(get_args(kinds[key]))}")
            continue
        allowed = get_args(kinds[key]) or (kinds[key],)
        allowed = (*allowed, int) if float in allowed else allowed
        if not isinstance(value, allowed) or isinstance(value, bool):
            raise UsageError(f"{key} is {value!r}; expected {' or '.join(kind.__name__ for kind in allowed)}")
    return own, training


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


# -------------------------------------------------------------------------------------------------------------- inside


@dataclass(frozen=True)
class _Bench:
    """What all runs of a benchmark share."""

    pairs: pd.DataFrame
    protocol: Protocol
    folder: Path
    unlabelled: Unlabelled | None


def _run(bench: _Bench, job: tuple[Competitor, int]) -> tuple[dict[str, Any], list[str]]:
    """The row of a competitor's run, and its warnings."""
    (competitor, run), began = job, time.perf_counter()
    parts = bench.protocol.divide(bench.pairs, run)
    test = parts["test"]
    epochs = best_epoch = 0
    with _quiet() as warnings:
        if competitor.is_trained:
            settings = replace(competitor.settings, random_state=competitor.settings.random_state + run)
            pretrains = _pretrains(competitor)
            how: dict[str, Any] = {
                "settings": settings,
                "config": dict(competitor.config),
                "unlabelled": bench.unlabelled if pretrains else None,
            }
            work = _under_way(bench.folder, competitor, run)
            model, history = train.fit(competitor.model, parts["train"], parts["valid"], work, **how, resume=True)
            epochs, best_epoch = len(history), int(history[f"valid_{settings.monitor}"].to_numpy().argmax()) + 1
        else:
            model = models.load(competitor.model)
        scores = predict.score(model, test)
    table = pd.DataFrame({"row": test.index, "label": test["label"].to_numpy(), "score": scores})
    io.write_table(table, bench.folder / "scores" / _file(competitor.title, run))
    measured = metrics.summarise(test["label"], scores, n_resamples=0)
    row = {
        "competitor": competitor.title,
        "run": run,
        **{f"n_{part}": len(rows) for part, rows in parts.items()},
        "epochs": epochs,
        "best_epoch": best_epoch,
        **dict(zip(measured["metric"], measured["value"], strict=True)),
        "seconds": time.perf_counter() - began,
    }
    return row, warnings


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextlib.contextmanager
def _quiet() -> Iterator[list[str]]:
    """The package's log is not shown, since an experiment has thousands of epochs; its warnings are collected."""
    logger, collector = logging.getLogger("mirscope"), _Collector()
    handlers, propagate = logger.handlers[:], logger.propagate
    logger.handlers[:], logger.propagate = [collector], False
    try:
        yield collector.messages
    finally:
        logger.handlers[:], logger.propagate = handlers, propagate


def _labelled(pairs: pd.DataFrame) -> pd.DataFrame:
    if "label" not in pairs or pairs["label"].nunique() != 2:
        raise InputError(f"the pairs must hold both labels, 0 and 1 ({len(pairs)} pairs given)")
    return pairs.reset_index(drop=True)


def _check(competitor: Competitor, pairs: pd.DataFrame) -> None:
    """Bad names and settings, and a table that the model does not read, show before the first run."""
    if competitor.config and not competitor.is_trained:
        raise UsageError(f"{competitor.model} is not trained here and takes no settings")
    create = models.create if competitor.is_trained else models.load
    model = create(competitor.model, **competitor.config)
    model.columns(pairs[:0])
    if model.provenance:
        log.warning("%s is scored as it is: pairs that it learned from may be among the test pairs", competitor.model)


def _pretrains(competitor: Competitor) -> bool:
    return competitor.is_trained and models.create(competitor.model, **competitor.config).pretrains


def _constant(name: str, constant: str) -> Any:
    """A constant that an architecture's file may hold."""
    models.create(name)  # names an unknown one
    module = importlib.import_module(f"{models.__name__}.{name}")
    if not hasattr(module, constant):
        able = [n for n in models.names() if hasattr(importlib.import_module(f"{models.__name__}.{n}"), constant)]
        raise UsageError(f"the file of {name} has no {constant}; those that have: {', '.join(able)}")
    return getattr(module, constant)


def _setup(
    competitor: Competitor, pairs: pd.DataFrame, protocol: Protocol, unlabelled: Unlabelled | None
) -> dict[str, Any]:
    """All that decides a row; the number of runs only where it decides the splits."""
    chosen: dict[str, Any] = {"model": competitor.model}
    if competitor.is_trained:
        chosen["config"] = asdict(models.create(competitor.model, **competitor.config).config)
        chosen["settings"] = asdict(competitor.settings)
        if unlabelled and _pretrains(competitor):
            chosen["unlabelled"] = unlabelled.fingerprint()
    else:
        chosen["weights"] = models.fingerprint(models.load(competitor.model))
    by = asdict(protocol)
    if not protocol.rule.endswith("kfold"):
        del by["n_runs"]
    return chosen | {"protocol": by, "pairs": _checksum(pairs)}


def _checksum(pairs: pd.DataFrame) -> str:
    known = ("mirna_seq", "gene_id", "target_seq", "hairpin_seq", "structure", "label", "split")
    columns = [column for column in known if column in pairs]
    return hashlib.sha256(pairs[columns].to_csv(index=False).encode()).hexdigest()


def _same(before: dict[str, Any], now: dict[str, Any], what: str) -> None:
    """Raise `UsageError` where a setting is another one now; one that there was not yet does not count."""
    flat = dict(_flat(json.loads(json.dumps(now))))  # as it would be read back
    for key, value in _flat(before):
        if flat.get(key) != value:
            raise UsageError(f"{what} with {key} {value}, this one has {flat.get(key)}; choose another folder")


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield prefix, value
        return
    for key, inner in value.items():
        yield from _flat(inner, f"{prefix}.{key}" if prefix else key)


def _file(title: str, run: int) -> str:
    return f"{re.sub(r'[^A-Za-z0-9.=+-]+', '_', title)}_{run:02d}.parquet"


def _under_way(folder: Path, competitor: Competitor, run: int) -> Path:
    return folder / "under_way" / Path(_file(competitor.title, run)).stem


def _read_rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        rows: list[dict[Any, Any]] = pd.read_parquet(path).to_dict("records")
        return rows
    except (OSError, ValueError) as error:
        raise InputError(f"not the runs of a benchmark ({str(error).splitlines()[0]})", path=path) from error


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, with numbers of Python; None for those that JSON does not have."""
    return [{str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
