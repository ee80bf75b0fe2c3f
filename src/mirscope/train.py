"""Training: one loop for every model, with early stopping, a checkpoint an epoch and exact resume.

A plain loop rather than a training library: the same speed here, four seconds less import, and every line of it is ours
to read (docs/decisions/002-training-loop.md).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mirscope import datasets, io, metrics, models, plot, predict, runs, splits
from mirscope.errors import InputError, UsageError
from mirscope.models import Model, Unlabelled

log = logging.getLogger(__name__)

HISTORY = ("epoch", "train_loss", "valid_loss", "valid_accuracy", "valid_auroc", "valid_average_precision", "seconds")


@dataclass(frozen=True)
class Settings:
    """Settings of a run; the defaults are miTAR's (Gu et al. 2021)."""

    epochs: int = 1000
    """At most."""
    batch_size: int = 100
    learning_rate: float = 0.001
    """Of Adam; the peak of a one-cycle schedule."""
    weight_decay: float = 0.0
    """Of AdamW (Loshchilov and Hutter 2019): the share by which weights shrink a step, times the learning rate."""
    schedule: Literal["constant", "one-cycle"] = "constant"
    """One cycle: up to the peak in the first 30 % of the epochs, then down to 0 (Smith and Topin 2018)."""
    label_smoothing: float = 0.0
    """Labels 0 and 1 are taught as smoothing / 2 and 1 - smoothing / 2."""
    clip_norm: float | None = None
    """Longest gradient of a step."""
    monitor: Literal["accuracy", "auroc", "average_precision"] = "accuracy"
    """The measure of the validation pairs that decides when to stop and which epoch to keep."""
    patience: int = 100
    """Epochs without a better validation measure before training stops."""
    min_gain: float = 0.001
    """What counts as better."""
    random_state: int = 0
    """Decides initial weights, order of examples and dropout."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', '-')} is {getattr(self, name)}; expected 1 or more")
        for name in ("learning_rate", "clip_norm"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise UsageError(f"{name.replace('_', '-')} is {getattr(self, name)}; expected a number above 0")
        if not self.weight_decay >= 0:
            raise UsageError(f"weight-decay is {self.weight_decay}; expected a number from 0 up")
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"label-smoothing is {self.label_smoothing}; expected a number from 0 to 1")


def fit(
    name: str,
    train: pd.DataFrame,
    valid: pd.DataFrame,
    folder: Path,
    *,
    settings: Settings | None = None,
    config: dict[str, Any] | None = None,
    start: Model | None = None,
    unlabelled: Unlabelled | None = None,
    resume: bool = False,
    report: Callable[[dict[str, float]], None] = lambda row: None,
) -> tuple[Model, pd.DataFrame]:
    """Train a new model and keep its state at the best validation measure (`Settings.monitor`).

    After every epoch `folder/checkpoint.pt` holds all that is needed to go on: a run that was killed and resumed ends
    with the same weights as one that was not (on the same device and number of threads).

    Args:
        name: the architecture.
        train: pairs with labels to learn from.
        valid: pairs with labels that decide when to stop and which epoch to keep.
        folder: where the checkpoint lives; made if needed.
        settings: of the run.
        config: of the network; its own defaults, or those of `start`, where not given.
        start: weights to go on from, of a network with the same settings but dropout; default fresh ones.
        unlabelled: what a fresh network that pretrains begins with; default the sequences of the training pairs.
        resume: go on from the checkpoint in `folder`; without one, start.
        report: called with each row of the history; what it raises stops the run.

    Returns:
        The model, ready to predict, and the history with columns `HISTORY` (one row an epoch).

    Raises:
        InputError: no labels, or one class only.
        UsageError: a checkpoint of another run is in `folder`.
    """
    settings, config = settings or Settings(), config or {}
    if not models.needs_weights(name):
        raise UsageError(f"{name} has nothing to train")
    folder.mkdir(parents=True, exist_ok=True)
    path, device = folder / "checkpoint.pt", predict.device()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.random_state)
        model = _start(name, config, start).to(device)
        x, y = _examples(model, train, "training", device)
        x_valid, y_valid = _examples(model, valid, "validation", device)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        identity = {
            "model": name,
            "config": asdict(model.config),
            "settings": asdict(settings),
            "pairs": [runs.checksum_tensors(*x, y), runs.checksum_tensors(*x_valid, y_valid)],
            "start": start and models.fingerprint(start),
            "unlabelled": unlabelled and unlabelled.fingerprint(),
        }
        state: dict[str, Any] = {
            "identity": identity,
            "history": [],
            "best": -1.0,
            "mark": -1.0,
            "marked": 0,
            "weights": {},
        }
        if path.is_file():
            state = _read_checkpoint(path, identity, resume, device)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
        elif start is None and model.pretrains:
            model.pretrain(unlabelled or _sequences(train), settings.random_state)

        for epoch in range(len(state["history"]) + 1, settings.epochs + 1):
            if epoch - state["marked"] > settings.patience:
                break
            began = time.perf_counter()
            seed = np.random.SeedSequence([settings.random_state, epoch]).generate_state(1)[0]
            torch.manual_seed(int(seed))  # of the order and of dropout: a resumed epoch draws what it would have drawn
            train_loss = _epoch(model, optimizer, x, y, settings, epoch)
            row = {"epoch": epoch, "train_loss": train_loss} | _validate(model, x_valid, y_valid)
            row["seconds"] = time.perf_counter() - began
            reached = row[f"valid_{settings.monitor}"]
            if reached > state["best"]:
                weights = {key: value.detach().clone() for key, value in model.state_dict().items()}
                state |= {"best": reached, "weights": weights}
            if reached >= state["mark"] + settings.min_gain:
                state |= {"mark": reached, "marked": epoch}
            state |= {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            state["history"].append(row)
            with io.atomic(path) as partial:
                torch.save(state, partial)
            measured = "loss {train_loss:.4f}  valid loss {valid_loss:.4f}  accuracy {valid_accuracy:.4f}".format(**row)
            log.info(
                "epoch %d  %s  best %s %.4f  %.1f s", epoch, measured, settings.monitor, state["best"], row["seconds"]
            )
            report(row)
    model.load_state_dict(state["weights"])
    return model.cpu().eval(), pd.DataFrame(state["history"], columns=list(HISTORY))


def run(
    name: str,
    data: str,
    folder: Path,
    *,
    settings: Settings | None = None,
    config: dict[str, Any] | None = None,
    start: str | None = None,
    mirnas: Path | None = None,
    transcripts: Path | None = None,
    language_model: Path | None = None,
    resume: bool = False,
) -> Model:
    """Train on a data set and write `folder`: model.safetensors, history.tsv, learning_curve.png and .svg, run.json.

    Args:
        name: the architecture.
        data: as `datasets.load_pairs` takes it, or `datasets.load_hairpins` for a network that reads hairpins; where it
            has no split, 64/16/20 at random; where it lacks a validation part only, a fifth of the
            training part, whole clusters of sites or hairpins (`splits.carve`).
        folder: made if needed.
        settings: of the run.
        config: of the network.
        start: bundled weights, or a weight file, to go on from.
        mirnas: FASTA of unlabelled miRNAs for a network that pretrains; default all mature miRNAs of miRBase.
        transcripts: FASTA of unlabelled transcripts for such a network; default the 3'UTRs of MirMark.
        language_model: folder of a language model, for a network that takes one.
        resume: go on from the checkpoint in `folder`.

    Returns:
        The model, its provenance filled.
    """
    began, settings = time.perf_counter(), settings or Settings()
    before = models.load(start) if start else None
    with torch.random.fork_rng(devices=[]):
        fresh = _start(name, config or {}, before)  # bad names and settings show before the data is read
    pairs = (datasets.load_pairs if fresh.inputs == models.PAIR else datasets.load_hairpins)(data)
    if "split" not in pairs or not pairs["split"].isin(datasets.SPLITS).any():
        pairs["split"] = datasets.random_split(pairs, random_state=settings.random_state)
    pairs["split"] = splits.carve(pairs, random_state=settings.random_state)
    parts = {split: pairs[pairs["split"] == split] for split in datasets.SPLITS}
    log.info("%s: %s examples", data, ", ".join(f"{len(part):,} {split}" for split, part in parts.items()))
    how: dict[str, Any] = {"settings": settings, "config": config, "start": before, "resume": resume}
    if models.create(name, **config or {}).pretrains and before is None:
        how["unlabelled"] = unlabelled(mirnas, transcripts, language_model)
    model, history = fit(name, parts["train"], parts["valid"], folder, **how)
    best = history.iloc[int(history[f"valid_{settings.monitor}"].to_numpy().argmax())]
    record: dict[str, Any] = {
        "data": data,
        "n": {split: len(part) for split, part in parts.items()},
        "settings": asdict(settings),
        "epochs": len(history),
        "best_epoch": int(best["epoch"]),
        "valid": {key.removeprefix("valid_"): _plain(best[key]) for key in HISTORY if key.startswith("valid_")},
        "device": predict.device().type,
    }
    if before is not None:
        record["start"] = {"weights": before.name, "provenance": before.provenance}
    if len(parts["test"]):
        scores = predict.score(model, parts["test"])
        summary = metrics.summarise(parts["test"]["label"], scores)
        record["test"] = {metric: [_plain(v) for v in row] for metric, *row in summary.itertuples(index=False)}
        log.info("test: accuracy %s, AUROC %s", record["test"]["accuracy"][0], record["test"]["auroc"][0])
    model.provenance = record
    models.save(model, folder / "model.safetensors")
    io.write_tsv([history], folder / "history.tsv", list(HISTORY))
    curve = plot.learning_curve(history, best_epoch=record["best_epoch"])[0]
    plot.save_all(curve, folder, "learning_curve")
    runs.write_json(
        folder / "run.json",
        record
        | {"model": name, "config": asdict(model.config), "seconds": time.perf_counter() - began}
        | runs.environment(),
    )
    (folder / "checkpoint.pt").unlink()
    log.info("written: %s", folder)
    return model


def unlabelled(
    mirnas: Path | None = None, transcripts: Path | None = None, language_model: Path | None = None
) -> Unlabelled:
    """Sequences to learn from without labels: of these files, else miRBase's mature miRNAs and MirMark's 3'UTRs.

    Raises:
        InputError: a file of the catalogue is not on this machine.
    """
    return Unlabelled(
        [record.sequence for record in io.iter_fasta(mirnas or datasets.path("mature_mirbase22"))],
        list(
            {r.sequence: None for r in io.iter_fasta(transcripts or datasets.path("human_3utr_mirmark"), unique=False)}
        ),
        language_model,
    )


def _start(name: str, config: dict[str, Any], start: Model | None) -> Model:
    """The network to train, with fresh weights or those of another."""
    if start is None:
        return models.create(name, **config)
    if models.architecture(start) != name:
        raise UsageError(f"the weights to start from are of {models.architecture(start)}, not of {name}")
    model = models.create(name, **asdict(start.config) | config)
    try:
        model.load_state_dict(start.state_dict())
    except RuntimeError as error:
        raise UsageError(f"{start.name} is of another shape than {model.config}") from error
    return model


def _plain(value: float) -> float | None:
    """Six decimals; what is undefined is null in JSON."""
    return round(float(value), 6) if math.isfinite(value) else None


def _epoch(
    model: Model, optimizer: torch.optim.Optimizer, x: tuple[Tensor, ...], y: Tensor, settings: Settings, epoch: int
) -> float:
    """One pass over the examples in a random order; the mean loss."""
    model.train()
    total = torch.zeros((), device=y.device)
    smoothed = y * (1 - settings.label_smoothing) + settings.label_smoothing / 2
    batches = list(torch.randperm(len(y)).to(y.device).split(settings.batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:  # a batch norm needs two
        batches[-2:] = [torch.cat(batches[-2:])]
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(settings, (epoch - 1 + step / len(batches)) / settings.epochs)
        optimizer.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(model(*(codes[batch] for codes in x)), smoothed[batch])
        (loss + model.penalty()).backward()
        if settings.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        total += loss.detach() * len(batch)
    return float(total) / len(y)


def _learning_rate(settings: Settings, done: float) -> float:
    """When this share (0-1) of the epochs is done."""
    if settings.schedule == "constant":
        return settings.learning_rate
    if done < 0.3:  # from a 25th to the peak, then to 0, each along half a cosine
        return settings.learning_rate * (0.04 + 0.48 * (1 - math.cos(math.pi * done / 0.3)))
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7))


@torch.inference_mode()
def _validate(model: Model, x: tuple[Tensor, ...], y: Tensor) -> dict[str, float]:
    model.eval()
    logits = torch.cat([model(*codes) for codes in zip(*(part.split(4096) for part in x), strict=True)])
    loss = F.binary_cross_entropy_with_logits(logits, y)
    labels, scores = y.cpu().numpy().astype(np.int8), logits.sigmoid().cpu().numpy()
    return {
        "valid_loss": float(loss),
        "valid_accuracy": metrics.accuracy_score(labels, scores),
        "valid_auroc": metrics.auroc_score(labels, scores),
        "valid_average_precision": metrics.average_precision_score(labels, scores),
    }


def _examples(model: Model, pairs: pd.DataFrame, role: str, device: torch.device) -> tuple[tuple[Tensor, ...], Tensor]:
    """Codes and labels of all pairs, encoded once."""
    if "label" not in pairs or pairs["label"].nunique() != 2:
        raise InputError(f"the {role} pairs must hold both labels, 0 and 1 ({len(pairs)} pairs given)")
    columns = model.columns(pairs)
    for part, column, length in zip(model.inputs, columns, model.lengths, strict=True):
        n_long = sum(len(sequence) > length for sequence in column)
        if n_long and part != "structure":  # which is as long as its hairpin
            log.warning("%d of %d %ss of the %s part are cut at %d nt", n_long, len(column), part, role, length)
    x = tuple(part.to(device) for part in (*model.encode(*columns), *predict.numbers(model, pairs)))
    return x, torch.tensor(pairs["label"].to_numpy(np.float32), device=device)


def _sequences(pairs: pd.DataFrame) -> Unlabelled:
    """The distinct sequences of pairs."""
    return Unlabelled(list(pairs["mirna_seq"].unique()), list(pairs["target_seq"].unique()))


def _read_checkpoint(path: Path, identity: dict[str, Any], resume: bool, device: torch.device) -> dict[str, Any]:
    state = runs.read_checkpoint(path, resume=resume, device=device)
    for part, value in state["identity"].items():
        if value != identity[part] and part != "settings":
            raise UsageError(f"the run in {path.parent} had other {part}: {value}, this one has {identity[part]}")
        if part == "settings":
            for setting, old in value.items():
                longer = setting == "epochs" and identity[part]["schedule"] == "constant"
                if old != identity[part][setting] and not longer:
                    raise UsageError(
                        f"the run in {path.parent} has {setting} {old}, this one {identity[part][setting]}"
                    )
    log.info("resuming after epoch %d", len(state["history"]))
    return state
