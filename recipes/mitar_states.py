"""Several random states of miTAR at once on one GPU: the weights mitar1 and mitar2.

    python recipes/mitar_states.py mitar1 mitar2

Networks that differ only in their random state are trained side by side: their weights are stacked, and every step is
one batched product for all of them. Loss, optimizer, schedule and settings are those of `mirscope train`; the last,
smaller batch of an epoch is left out, and a GPU multiplies in TF32. The state with the best validation accuracy is
written to results/training/NAME, from where recipes/mitar.py makes weight file and card. On a GPU it takes minutes, and
gives other weights each time; on a CPU it works, but `mirscope train` is as fast for one state.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mirscope import cli, datasets, metrics, models, predict, train
from mirscope.models.mitar import _reverse
from mitar import RECIPES, RUNS

N_STATES = 3


class Stack:
    """The weights of several networks of one shape, (states, weights)."""

    def __init__(self, config: dict, random_states: range, device: torch.device) -> None:
        networks = []
        for random_state in random_states:
            torch.manual_seed(random_state)
            networks.append(models.create("mitar", **config))
        self.shapes = {key: value.shape for key, value in networks[0].state_dict().items()}
        self.dropout = networks[0].config.dropout
        rows = [torch.cat([value.flatten() for value in network.state_dict().values()]) for network in networks]
        self.flat = torch.stack(rows).to(device).requires_grad_()

    def weights(self, flat: Tensor) -> dict[str, Tensor]:
        """Each weight with the states as its first dimension."""
        parts = flat.split([shape.numel() for shape in self.shapes.values()], dim=1)
        return {key: part.unflatten(1, shape) for (key, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def logits(self, x: Tensor, *, training: bool) -> Tensor:
        """(states, n) of codes (states, n, length), the miRNA reversed and joined to the target."""
        w = self.weights(self.flat)
        states, n, _ = x.shape
        kernel, hidden = w["conv.weight"].shape[-1], w["lstm.weight_hh_l0"].shape[-1]
        drop = lambda t: F.dropout(t, self.dropout, training)  # noqa: E731
        windows = F.one_hot(x.long(), 5).float().unfold(2, kernel, 1)  # (states, n, positions, 5, kernel)
        windows = windows[:, :, : windows.shape[2] // 2 * 2]
        conv = torch.einsum("sve,sfek->svkf", w["embed.weight"], w["conv.weight"]).flatten(1, 2)
        h = torch.baddbmm(w["conv.bias"][:, None], windows.flatten(3).flatten(1, 2), conv).relu()
        h = drop(h).unflatten(1, (n, -1, 2)).amax(3)  # (states, n, pooled, filters)
        h = drop(h)
        gates = []
        for end in ("", "_reverse"):
            bias = (w[f"lstm.bias_ih_l0{end}"] + w[f"lstm.bias_hh_l0{end}"])[:, None]
            gates.append(torch.baddbmm(bias, h.flatten(1, 2), w[f"lstm.weight_ih_l0{end}"].mT).unflatten(1, (n, -1)))
        steps = torch.cat([gates[0], gates[1].flip(2)]).unbind(2)  # (2 states, n, 4 hidden) each
        recurrent = torch.cat([w["lstm.weight_hh_l0"], w["lstm.weight_hh_l0_reverse"]]).mT
        h = c = x.new_zeros(2 * states, n, hidden, dtype=torch.float32)
        for step in steps:
            i, f, g, o = torch.baddbmm(step, h, recurrent).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        h = drop(torch.cat([h[:states], h[states:]], 2))
        h = drop(torch.baddbmm(w["dense.bias"][:, None], h, w["dense.weight"].mT).relu())
        return torch.baddbmm(w["head.bias"][:, None], h, w["head.weight"].mT)[..., 0]


def fit(name: str, *, n_states: int = N_STATES, epochs: int | None = None) -> None:
    """Train the states of a recipe and write the best."""
    recipe = RECIPES[name]
    settings = replace(recipe["settings"], epochs=epochs or recipe["settings"].epochs)
    device = predict.device()
    torch.set_float32_matmul_precision("high")
    stack = Stack(recipe["config"], range(n_states), device)
    pairs = datasets.load_pairs(recipe["data"])
    parts = {split: pairs[pairs["split"] == split] for split in datasets.SPLITS}
    model = models.create("mitar", **recipe["config"])
    x, y = examples(model, parts["train"], device)
    x_valid, y_valid = examples(model, parts["valid"], device)
    y = y * (1 - settings.label_smoothing) + settings.label_smoothing / 2
    optimizer = torch.optim.Adam([stack.flat], lr=settings.learning_rate)
    best = torch.full((n_states,), -1.0, device=device)
    kept, kept_epoch = stack.flat.detach().clone(), torch.zeros(n_states, dtype=torch.long)
    torch.manual_seed(1000)
    n_steps = len(y) // settings.batch_size
    for epoch in range(1, settings.epochs + 1):
        order = torch.stack([torch.randperm(len(y)) for _ in range(n_states)]).to(device)
        for step in range(n_steps):
            rate = train._learning_rate(settings, (epoch - 1 + step / n_steps) / settings.epochs)
            optimizer.param_groups[0]["lr"] = rate
            batch = order[:, step * settings.batch_size : (step + 1) * settings.batch_size]
            loss = F.binary_cross_entropy_with_logits(stack.logits(x[batch], training=True), y[batch])
            optimizer.zero_grad()
            (loss * n_states).backward()  # the sum over states of each one's mean
            norm = stack.flat.grad.norm(dim=1, keepdim=True)
            stack.flat.grad *= (settings.clip_norm / (norm + 1e-6)).clamp(max=1)
            optimizer.step()
        with torch.inference_mode():
            shared = (part.expand(n_states, -1, -1) for part in x_valid.split(1024))
            logits = torch.cat([stack.logits(part, training=False) for part in shared], 1)
        accuracy = ((logits >= 0) == (y_valid > 0.5)).float().mean(1)
        better = accuracy > best
        best, kept[better], kept_epoch[better.cpu()] = (
            torch.where(better, accuracy, best),
            stack.flat.detach()[better],
            epoch,
        )
        print(
            f"{name} epoch {epoch}: best validation accuracy {', '.join(f'{value:.4f}' for value in best)}", flush=True
        )
    state = int(best.argmax())
    model.load_state_dict({key: value[state].cpu() for key, value in stack.weights(kept).items()})
    publish(
        name,
        model,
        parts,
        replace(settings, random_state=state),
        int(kept_epoch[state]),
        device,
    )


def publish(
    name: str, model: models.Model, parts: dict, settings: train.Settings, epoch: int, device: torch.device
) -> None:
    """Write results/training/NAME/model.safetensors with its provenance."""
    scores = predict.score(model, parts["valid"])
    labels = parts["valid"]["label"]
    test = metrics.summarise(parts["test"]["label"], predict.score(model, parts["test"]))
    model.provenance = {
        "data": RECIPES[name]["data"],
        "n": {split: len(part) for split, part in parts.items()},
        "settings": asdict(settings),
        "states": f"best of {N_STATES} on validation, trained side by side",
        "epochs": settings.epochs,
        "best_epoch": epoch,
        "valid": {
            "accuracy": round(metrics.accuracy_score(labels, scores), 6),
            "auroc": round(metrics.auroc_score(labels, scores), 6),
        },
        "device": device.type,
        "test": {metric: [train._plain(v) for v in row] for metric, *row in test.itertuples(index=False)},
    }
    (RUNS / name).mkdir(parents=True, exist_ok=True)
    models.save(model, RUNS / name / "model.safetensors")


def examples(model: models.Model, pairs, device: torch.device) -> tuple[Tensor, Tensor]:
    """Codes (n, length) as the network joins them, and labels."""
    mirna, target = model.encode(pairs["mirna_seq"].tolist(), pairs["target_seq"].tolist())
    labels = torch.tensor(pairs["label"].to_numpy("float32"), device=device)
    return torch.cat([_reverse(mirna), target], 1).to(device), labels


if __name__ == "__main__":
    cli.start_log()
    for name in sys.argv[1:] or ["mitar1", "mitar2"]:
        fit(name)
