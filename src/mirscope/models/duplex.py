"""duplex: the partition function of all duplexes of a miRNA and a target, with learned energies (mirscope's own model).

With miRNA nucleotides m_1 .. m_n 5'->3' and the target t read 3'->5' as r_1 .. r_L, the weight of every local
antiparallel duplex is summed:

    s(i, j)  = W[i, m_i, r_j] + p_i * sum_k a_k[m_{i-1}, r_{j-1}] b_k[m_i, r_j]      i pairs with, or stands against, j
    M(i, j)  = exp(s(i, j)) * (B_i exp(c_j) + A(i-1, j-1))                            a duplex starts here, or goes on
    X(i, j)  = G0_i M(i-1, j) + E0 X(i-1, j)                                          bulge on the miRNA
    Y(i, j)  = G1_i M(i, j-1) + E1 Y(i, j-1)                                          bulge on the target
    A        = M + X + Y
    Z        = sum_ij M(i, j) N_i exp(d_j)                                            a duplex ends here
    logit    = u (log Z + o(m) + w(t)) + v                                            a batch norm in training

where c_j and d_j weigh the 25 target nucleotides around j, o(m) the miRNA's nucleotides, w(t) the dinucleotides of the
window. 973 parameters, all of them energies that can be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from mirscope import rna
from mirscope.models import Model, _letters, drawn

Array = NDArray[np.float32]

MIRNA_LENGTH = 25
NEVER = -30.0
"""Score of a pair with an N."""
FLANK = 12
DENSE = 100
"""Targets up to this length have their flanks from a dense matrix, nt."""
SEED, SUPPLEMENTARY = (1, 8), (12, 16)
"""Parts of the miRNA, 0-based, half-open: nt 2-8 and 13-16."""
_MAY_PAIR = torch.zeros(5, 5, dtype=torch.bool)
for _one, _other in ("AU", "UA", "CG", "GC", "GU", "UG"):
    _MAY_PAIR[rna.ALPHABET.index(_one), rna.ALPHABET.index(_other)] = True


@dataclass(frozen=True)
class Config:
    """Settings of the network: `context` adds the terms of flanking nucleotides, of the miRNA and of the window."""

    target_length: int = 50
    context: bool = True


class Network(Model):
    """All duplexes of a miRNA (5'->3', 25 nt) and a window, summed with learned energies."""

    stride = 10
    candidates = "peaks"
    fp_per_kb = 0.1
    reach = 13
    soft = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = MIRNA_LENGTH
        self.lengths = (n, config.target_length)
        start = torch.full((4, 4), -1.0)
        for pair, score in (("CG", 1.2), ("GC", 1.2), ("AU", 0.7), ("UA", 0.7), ("GU", 0.0), ("UG", 0.0)):
            start[rna.ALPHABET.index(pair[0]), rna.ALPHABET.index(pair[1])] = score
        self.pair = nn.Parameter(start.repeat(n, 1, 1))  # W: position, miRNA nt, target nt
        self.stack_outer = nn.Parameter(0.1 * torch.randn(4, 4, 4))  # a: k, m_{i-1}, r_{j-1}
        self.stack_inner = nn.Parameter(0.1 * torch.randn(4, 4, 4))  # b: k, m_i, r_j
        self.stack = nn.Parameter(torch.zeros(n))  # p
        self.start = nn.Parameter(torch.zeros(n))  # log B
        self.end = nn.Parameter(torch.zeros(n))  # log N
        self.gap_open = nn.Parameter(torch.full((2, n), -3.0))  # log G0, log G1
        self.gap_extend = nn.Parameter(torch.ones(2))  # log E = -softplus
        self.norm = nn.BatchNorm1d(1, momentum=0.02)
        self.context = config.context
        if config.context:
            self.flank = nn.Parameter(torch.zeros(2, 4, 2 * FLANK + 1))  # C and D: nt, place
            self.mirna_offset = nn.Parameter(torch.zeros(n, 4))  # V
            self.window_offset = nn.Parameter(torch.zeros(4, 4))  # U

    def forward(self, mirna: Tensor, target: Tensor) -> Tensor:
        """Logits (n,) of codes (n, 25) and (n, window)."""
        return self._normed(self.log_weight(mirna, target) + self.offset(mirna, target))

    def scores(self) -> Tensor:
        """s for every position and nearest neighbour: (25, m_{i-1}, m_i, r_{j-1}, r_j), N the last of each."""
        stack = torch.einsum("kxy,kuv->xuyv", self.stack_outer, self.stack_inner)
        table = F.pad(self.stack[:, None, None, None, None] * stack, (0, 1, 0, 1, 0, 1, 0, 1))
        table = table + F.pad(self.pair, (0, 1, 0, 1))[:, None, :, None, :]
        table = table.index_fill(2, torch.tensor([rna.N], device=table.device), NEVER)
        return table.index_fill(4, torch.tensor([rna.N], device=table.device), NEVER)

    def log_weight(self, mirna: Tensor, target: Tensor) -> Tensor:
        """log Z (n,) of codes; in double precision, which spans all that can be summed, and always on the CPU."""
        if mirna.is_floating_point():
            return self._soft_log_weight(mirna.double(), target.double())
        weights = (part.cpu() for part in self._weights(target))
        return _LogWeight.apply(mirna.cpu(), target.cpu(), *weights).to(target.device)

    def _soft_log_weight(self, mirna: Tensor, target: Tensor) -> Tensor:
        """log Z (n,) of weights of letters (n, 25, 5) and (n, window, 5): the recursion as it is written above."""
        r, size = target.flip(1), target.shape[1]
        before_m, before_r = (_after_nothing(letters) for letters in (mirna, r))
        of_mirna = torch.einsum("ixuyv,nix,niu->niyv", self.scores().double(), before_m, mirna)
        weights = torch.einsum("niyv,njy,njv->nij", of_mirna, before_r, r).exp()  # exp(s)
        begin, finish = self.flanks(target)
        start, end, gaps = (log.double().exp() for log in (self.start, self.end, self.gap_open))
        extend0, extend1 = (-F.softplus(self.gap_extend.double())).exp()
        steps = torch.arange(size, device=r.device)
        apart = steps - steps[:, None] - 1
        bulge = (extend1 ** apart.clamp(min=0)) * (apart >= 0)  # from place to place on the target
        m = x = a = torch.zeros_like(begin)
        total = torch.zeros_like(begin)
        for i in range(mirna.shape[1]):
            x = gaps[0, i] * m + extend0 * x
            m = weights[:, i] * (start[i] * begin + F.pad(a[:, :-1], (1, 0)))
            a = m + x + gaps[1, i] * (m @ bulge)
            total = total + end[i] * m * finish
        return total.sum(1).log()

    def base_pairs(self, mirna: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """log Z (n,), and the probability of each pair of nucleotides, (n, 25, window), both 5'->3'.

        Args:
            mirna: codes int8 (n, 25).
            target: codes int8 (n, window), a window for each miRNA; of any length, the same for all.
        """
        with torch.inference_mode():
            weights = [part.cpu() for part in self._weights(target)]
            log_weight, pairs, *_ = _arrays(_duplexes, mirna.cpu(), target.cpu(), *weights, True)
        return log_weight, pairs

    def _weights(self, target: Tensor) -> tuple[Tensor, ...]:
        """exp(s) (position, m_{i-1} and m_i; r_{j-1} and r_j), B, N, G, E; exp(c) and exp(d), (n, window) 5'->3'."""
        table, extend = self.scores().flatten(3).flatten(0, 2), -F.softplus(self.gap_extend.double())
        logs = (table, self.start, self.end, self.gap_open, extend)
        return *(log.double().exp() for log in logs), *self.flanks(target).flip(2)

    def flanks(self, target: Tensor) -> Tensor:
        """exp(c) and exp(d), (2, n, window), the target 3'->5'."""
        n, length = target.shape[:2]
        if not self.context:
            return torch.ones(2, n, length, dtype=torch.double, device=target.device)
        bases = _letters.bases(target).to(self.flank)  # (n, length, 4)
        if length > DENSE:
            found = F.conv1d(bases.transpose(1, 2), self.flank, padding=FLANK).transpose(0, 1)
        else:  # one matrix for all windows, which is ten times as fast
            places = torch.arange(length, device=target.device)
            shift = places[:, None] - places + FLANK  # (of the base, of the column)
            beside = F.pad(self.flank, (0, 1))[:, :, shift.where((shift >= 0) & (shift <= 2 * FLANK), 2 * FLANK + 1)]
            matrix = beside.permute(2, 1, 0, 3).flatten(2).flatten(0, 1)  # (length and nt, which and column)
            found = (bases.flatten(1) @ matrix).view(n, 2, length).transpose(0, 1)
        return found.double().flip(2).exp()

    def offset(self, mirna: Tensor, target: Tensor) -> Tensor:
        """o(m) + w(t), (n,)."""
        return self._mirna_offset(mirna) + self._window_offset(target, target.shape[1])[:, 0]

    def _mirna_offset(self, mirna: Tensor) -> Tensor:
        """o(m) of miRNAs (n, 25), (n,)."""
        if not self.context:
            return torch.zeros(len(mirna), device=mirna.device)
        return (_letters.bases(mirna) * self.mirna_offset).sum((1, 2))

    def _window_offset(self, target: Tensor, width: int) -> Tensor:
        """w of every window of targets (..., length), (..., length - width + 1)."""
        if not self.context:
            shape = _letters.known(target).shape
            return torch.zeros(*shape[:-1], shape[-1] - width + 1, device=target.device)
        bases = _letters.bases(target).to(self.window_offset)
        found = (bases[..., :-1, :] @ self.window_offset * bases[..., 1:, :]).sum(-1).double() / 10
        return F.pad(found.cumsum(-1), (1, 0)).unfold(-1, width, 1)[..., [0, -1]].diff(dim=-1)[..., 0].float()

    @torch.inference_mode()
    def score_windows(self, mirnas: Tensor, transcript: Tensor, starts: Tensor) -> Tensor:
        """As the contract says; in the linear domain, compiled, many miRNAs at once."""
        windows = transcript.unfold(0, self.lengths[1], 1)[starts].contiguous()  # (w, window)
        logs = self._ends(mirnas, windows, places=1)[:, :, 0]
        window_offset = self._window_offset(transcript, self.lengths[1])[starts]
        return self._normed(logs + self._mirna_offset(mirnas)[:, None] + window_offset)

    @torch.inference_mode()
    def position_weights(self, mirnas: Tensor, transcript: Tensor) -> Tensor:
        """log E (m, length): the weight of all duplexes whose last pair is at each nucleotide of a whole transcript."""
        return self._ends(mirnas, transcript[None], places=len(transcript))[:, 0]

    @torch.inference_mode()
    def peaks(self, mirnas: Tensor, transcripts: Sequence[Tensor], least: Tensor) -> tuple[Tensor, ...]:
        """As the contract says: where E is highest within `NEAR` nt, with the duplexes there amid the window.

        The sum of E over a window also holds duplexes that begin beyond it, so that it decides which windows are worth
        an exact look, with `MARGIN` for what flanks outside the window do.
        """
        where, width = mirnas.device, self.lengths[1]
        tables, *terms, scale = self._linear(mirnas)
        zero, one = self._normed(torch.tensor([0.0, 1.0], device=where))
        slope = one - zero
        by_mirna = self._mirna_offset(mirnas)
        lowest = (least.to(where) - MARGIN - zero) / slope - by_mirna - scale
        nobody = len(tables) * LANES - len(lowest)
        lowest = F.pad(lowest.float().exp(), (0, nobody), value=math.inf).reshape(-1, LANES).cpu().numpy()
        gap = transcripts[0].new_full((FLANK,), rna.N)  # so that flanks end with their transcript
        text = torch.cat([part for transcript in transcripts for part in (transcript, gap)])
        lengths = np.array([len(transcript) for transcript in transcripts])
        bounds = np.cumsum(lengths + FLANK) - lengths - FLANK
        begin, finish = map(_array, self.flanks(text[None])[:, 0].flip(1).float())
        windows, by_window = text.unfold(0, width, 1), self._window_offset(text, width)
        factor = _array(by_window.exp())
        out = np.empty((3, len(mirnas) * int((lengths // (NEAR + 1) + 1).sum())), np.int64)
        n = _find_peaks(tables, _array(text), bounds, lengths, begin, finish, *terms, factor, width, lowest, out)  # type: ignore[call-arg]
        row, number, start = torch.from_numpy(out[:, :n]).to(where)
        log_weight = [self._log_weight(*pair, *terms) for pair in _blocks(mirnas[row], windows[start])]
        logits = self._normed(torch.cat(log_weight).to(where) + scale + by_mirna[row] + by_window[start])
        good = logits >= least.to(logits)[row]
        row, number, start, logits = row[good], number[good], start[good], logits[good]
        place = start + (width + SPAN) // 2  # about; exactly where it may be another's
        close = _close(row, start, width + MIRNA_LENGTH + self.reach)
        opposite = [self.best_duplexes(*pair) for pair in _blocks(mirnas[row[close]], windows[start[close]])]
        first = (torch.cat(opposite) >= 0).int().argmax(1)
        place[close] = start[close] + torch.cat(opposite).gather(1, first[:, None])[:, 0] + first
        base = torch.from_numpy(bounds).to(where)[number]
        return row, number, start - base, place - base, logits

    @torch.inference_mode()
    def duplexes(self, mirnas: Sequence[str], targets: Sequence[str]) -> dict[str, Sequence[Any]]:
        """As the contract says: the heaviest duplex, and how probable it is over all duplexes that two parts pair."""
        found, parts = [], []
        for low in range(0, len(mirnas), AT_ONCE):
            some = slice(low, low + AT_ONCE)
            mirna, target = self.encode(mirnas[some], targets[some])
            may_pair = _MAY_PAIR[mirna.long()[:, :, None], target.long()[:, None]]  # (n, 25, window)
            by_place = (self.base_pairs(mirna, target)[1] * may_pair).sum(2)
            parts.append(torch.stack([by_place[:, slice(*part)].mean(1) for part in (SEED, SUPPLEMENTARY)]))
            opposite = self.best_duplexes(mirna, target)
            stands = opposite.clamp(min=0)[:, :, None]
            paired = may_pair.gather(2, stands)[:, :, 0] & (opposite >= 0)
            for one, other, at, pairs in zip(
                mirnas[some], targets[some], opposite.tolist(), paired.tolist(), strict=True
            ):
                chain = [(i, j) for i, (j, pair) in enumerate(zip(at, pairs, strict=True)) if pair][::-1]
                found.append(rna.draw(one, other, chain) if chain else rna.Duplex(math.nan, 0, 0, "", "", ""))
        seed, supplementary = torch.cat(parts, 1).tolist() if parts else ([], [])
        return {"seed_pairing": seed, "supplementary_pairing": supplementary, **drawn(found)}

    def best_duplexes(self, mirnas: Tensor, windows: Tensor) -> Tensor:
        """The heaviest duplex of each pair (n): the place in the window, 5'->3', that each nt stands against, (n, 25).

        -1 where it stands against none. Mismatches within the duplex stand against each other.
        """
        target = windows.flip(1).long()
        columns = F.pad(target, (1, -1), value=rna.N) * 5 + target
        scores, extend = self.scores().flatten(3).flatten(0, 2), -F.softplus(self.gap_extend)
        terms = (*self.flanks(windows).log().float(), self.start, self.end, *self.gap_open, extend)
        out = np.empty((len(mirnas), MIRNA_LENGTH), np.int16)
        _best(*map(_array, (scores, _rows(mirnas.long()), columns, *terms)), out)  # type: ignore[call-arg]
        found = torch.from_numpy(out).long().to(windows.device)
        return torch.where(found < 0, found, windows.shape[1] - 1 - found)

    def _ends(self, mirnas: Tensor, windows: Tensor, *, places: int) -> Tensor:
        """The log weight (m, w, places) of the duplexes that end in each window: at each place, or in all (1 place)."""
        begin, finish = map(_array, self.flanks(windows).flip(2).float())
        tables, *terms, scale = self._linear(mirnas)
        out = np.zeros((len(tables), len(windows), places, LANES), np.float32)
        _add_ends(tables, _array(windows), begin, finish, *terms, out)  # type: ignore[call-arg]
        ends = torch.from_numpy(np.moveaxis(out, 3, 1).reshape(-1, len(windows), places)[: len(mirnas)])
        return ends.log().to(scale) + scale

    def _log_weight(self, mirnas: Tensor, windows: Tensor, *terms: NDArray[Any]) -> Tensor:
        """log Z (n,) of pairs as `_linear` scales it, in single precision: a scan's `log_weight`."""
        begin, finish = map(_array, self.flanks(windows).flip(2).float())
        out = np.empty(len(mirnas), np.float32)
        scores = _array(self.scores().flatten(3).flatten(0, 2).exp())
        _add_pairs(scores, _array(_rows(mirnas.long()).T), _array(windows), begin, finish, *terms, out)  # type: ignore[call-arg]
        return torch.from_numpy(out).log()

    def _normed(self, value: Tensor) -> Tensor:
        return self.norm(value.reshape(-1, 1).float()).reshape(value.shape)

    def _linear(self, mirnas: Tensor) -> tuple[Any, ...]:
        """What the kernels take: exp(s) of miRNAs (groups, r_{j-1} and r_j, position, lane), B, N, G0, G1, E.

        Last the logarithm that B is divided by, and so all weights, lest the best of all duplexes overflow.
        """
        scores = self.scores().flatten(3).flatten(0, 2)
        m = F.pad(mirnas.long(), (0, 0, 0, -len(mirnas) % LANES), value=rna.N)
        tables = scores[_rows(m)].unflatten(0, (-1, LANES)).permute(0, 3, 2, 1)  # (groups, 25, position, lane)
        most = tables.amax(1).clamp(min=0).sum(1).max() + self.start.max() + self.end.max()
        scale = (most - LARGEST).clamp(min=0)
        extend = (-F.softplus(self.gap_extend)).exp()
        terms = (tables.exp(), (self.start - scale).exp(), self.end.exp(), *self.gap_open.exp(), extend)
        return *map(_array, terms), scale.detach()


def _array(tensor: Tensor) -> NDArray[Any]:
    """What a kernel takes."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy())


def _blocks(mirnas: Tensor, windows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs so many at a time; at least one block."""
    return zip(mirnas.split(AT_ONCE), windows.split(AT_ONCE), strict=True)


def _close(rows: Tensor, starts: Tensor, reach: int) -> Tensor:
    """Which windows (n,) have another of the same row less than `reach` away."""
    row, start = _array(rows), _array(starts)
    order = np.lexsort((start, row))
    near = np.zeros(len(order) + 1, bool)  # to the one before
    near[1:-1] = (np.diff(row[order]) == 0) & (np.diff(start[order]) < reach)
    close = np.empty(len(order), bool)
    close[order] = near[:-1] | near[1:]
    return torch.from_numpy(close).to(rows.device)


def _after_nothing(letters: Tensor) -> Tensor:
    """Weights (n, length, 5) of the letter before each; an N before the first."""
    nothing = F.one_hot(torch.tensor(rna.N, device=letters.device), len(rna.ALPHABET)).to(letters)
    return torch.cat([nothing.expand(len(letters), 1, -1), letters[:, :-1]], 1)


def _rows(mirna: Tensor) -> Tensor:
    """Row (n, 25) of `scores` for each position of miRNAs (n, 25) with its nucleotide and the one before."""
    before = F.pad(mirna, (1, -1), value=rna.N)
    return (torch.arange(mirna.shape[1], device=mirna.device) * 5 + before) * 5 + mirna


class _LogWeight(torch.autograd.Function):
    """log Z (n,) of codes and of the weights of `Network._weights`, with its exact derivatives."""

    @staticmethod
    def forward(ctx: Any, mirna: Tensor, target: Tensor, *weights: Tensor) -> Tensor:
        log_weight, *shares = _arrays(_duplexes, mirna, target, *weights, any(ctx.needs_input_grad))
        ctx.save_for_backward(mirna, target, *weights, *shares)
        return log_weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        mirna, target, *rest = ctx.saved_tensors
        weights, (pairs, starts, ends, opened, extended, *flanks) = rest[:7], rest[7:]
        [gradient] = gradients
        [table] = _arrays(_histogram, mirna, target, pairs, gradient)
        sums = [torch.tensordot(gradient, part, 1) for part in (starts, ends, opened, extended)]
        counts = [table, *sums, *(gradient[:, None] * part for part in flanks)]
        return None, None, *(count / weight for count, weight in zip(counts, weights, strict=True))


def _arrays(kernel: Any, *arguments: Any) -> list[Tensor]:
    """What a kernel makes of tensors."""
    plain = (a.detach().contiguous().numpy() if isinstance(a, Tensor) else a for a in arguments)
    return [torch.from_numpy(array) for array in kernel(*plain)]


@numba.njit(fastmath=True, error_model="numpy", cache=True, nogil=True)
def _duplexes(mirna, target, table, start, end, gaps, extend, begin, finish, differentiate):  # type: ignore[no-untyped-def]  # pragma: no cover
    """log Z (n,), and its derivatives by the logarithm of each weight, which are probabilities and expected counts.

    Those of pairs are (n, position, window), of B and N (n, position), of G (n, 2, position), of E (n, 2), of exp(c)
    and exp(d) (n, window); all zero unless asked to differentiate. A bar is the derivative of Z
    (docs/decisions/017-duplex-training.md).
    """
    n, length = target.shape
    size, (extend0, extend1) = len(start), extend
    log_weight, pairs = np.empty(n), np.zeros((n, size, length))
    starts, ends, opened, extended = np.zeros((n, size)), np.zeros((n, size)), np.zeros((n, 2, size)), np.zeros((n, 2))
    begins, finishes = np.zeros((n, length)), np.zeros((n, length))
    # row 0 and the last column stand for what lies outside: nothing
    m, x, y = np.zeros((size + 1, length + 1)), np.zeros((size + 1, length + 1)), np.zeros((size + 1, length + 1))
    column = np.empty(length, np.int64)
    for row in range(n):
        before = rna.N
        for j in range(length - 1, -1, -1):
            column[j] = before * 5 + target[row, j]
            before = target[row, j]
        total, before = 0.0, rna.N
        for i in range(size):
            weights, before = table[(i * 5 + before) * 5 + mirna[row, i]], mirna[row, i]
            for j in range(length):
                x[i + 1, j] = gaps[0, i] * m[i, j] + extend0 * x[i, j]
                on = m[i, j + 1] + x[i, j + 1] + y[i, j + 1]
                m[i + 1, j] = weights[column[j]] * (start[i] * begin[row, j] + on)
                total += end[i] * finish[row, j] * m[i + 1, j]
            bulge = 0.0
            for j in range(length - 1, -1, -1):  # apart, since only this goes from each to the next
                bulge = gaps[1, i] * m[i + 1, j + 1] + extend1 * bulge
                y[i + 1, j] = bulge
        log_weight[row] = np.log(total)
        if not differentiate:
            continue
        m_bar_weight, x_bar = np.zeros(length), np.zeros(length)  # of the position after
        for i in range(size - 1, -1, -1):
            before = mirna[row, i - 1] if i else rna.N
            weights = table[(i * 5 + before) * 5 + mirna[row, i]]
            open0 = gaps[0, i + 1] if i + 1 < size else 0.0
            a_bar = y_bar = 0.0
            for j in range(length):
                last = end[i] * finish[row, j] / total
                m_bar = last + a_bar + open0 * x_bar[j] + gaps[1, i] * y_bar
                x_bar[j] = a_bar + extend0 * x_bar[j]
                y_bar = a_bar + extend1 * y_bar
                a_bar, m_bar_weight[j] = m_bar_weight[j], m_bar * weights[column[j]]
                fresh = start[i] * begin[row, j] * m_bar_weight[j]
                pairs[row, i, j] = m[i + 1, j] * m_bar
                starts[row, i] += fresh
                begins[row, j] += fresh
                ends[row, i] += last * m[i + 1, j]
                finishes[row, j] += last * m[i + 1, j]
                opened[row, 0, i] += gaps[0, i] * m[i, j] * x_bar[j]
                opened[row, 1, i] += gaps[1, i] * m[i + 1, j + 1] * y_bar
                extended[row, 0] += extend0 * x[i, j] * x_bar[j]
                extended[row, 1] += extend1 * y[i + 1, j + 1] * y_bar
    return log_weight, pairs, starts, ends, opened, extended, begins, finishes


@numba.njit(cache=True, nogil=True)
def _histogram(mirna, target, pairs, gradient):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The expected count of each entry of the table of weights, each pair of sequences counted `gradient` times."""
    n, size, length = pairs.shape
    counts = np.zeros((size * 25, 25))
    for row in range(n):
        for i in range(size):
            place = (i * 5 + (mirna[row, i - 1] if i else rna.N)) * 5 + mirna[row, i]
            before = rna.N
            for j in range(length - 1, -1, -1):
                counts[place, before * 5 + target[row, j]] += gradient[row] * pairs[row, i, j]
                before = target[row, j]
    return (counts,)


LANES = 32
"""miRNAs that a kernel works on at once, in the lanes of the processor's vectors."""
LARGEST = 75.0
"""Logarithm of a weight that single precision holds with room for the flanks."""
MARGIN = 0.25
"""Logit by which the estimate of a window may be below the exact value; found to be below .13 (decision 020)."""
AT_ONCE = 2048
"""Pairs that are looked at exactly in one call."""
NEAR = 10
"""No two peaks of one miRNA are nearer, nt."""
SPAN = 22
"""nt of the target that a duplex takes up, about: a peak's window has it in the middle."""


@numba.njit(fastmath=True, error_model="numpy", inline="always")
def _column(t, b, f, start, end, gap0, gap1, extend0, extend1, m, y, a, x, up, diagonal, e):  # type: ignore[no-untyped-def]  # pragma: no cover
    """One target nucleotide: m, y, a (position, lane) of the nucleotide before are replaced; e is what ends here.

    t (position, lane), b and f (lane) are exp(s), exp(c) and exp(d) there.
    """
    for lane in range(LANES):
        x[lane] = up[lane] = diagonal[lane] = e[lane] = 0.0
    for i in range(len(start)):
        fresh, open0, open1, last = start[i], gap0[i], gap1[i], end[i]
        for lane in range(LANES):
            x[lane] = open0 * up[lane] + extend0 * x[lane]
            bulge = open1 * m[i, lane] + extend1 * y[i, lane]
            pair = t[i, lane] * (fresh * b[lane] + diagonal[lane])
            diagonal[lane] = a[i, lane]
            a[i, lane] = pair + x[lane] + bulge
            y[i, lane] = bulge
            m[i, lane] = pair
            up[lane] = pair
            e[lane] += last * f[lane] * pair


@numba.njit(fastmath=True, error_model="numpy", cache=True, nogil=True)
def _ends(table, window, begin, finish, start, end, gap0, gap1, extend, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add what ends at each nucleotide of a window to out (places, lane): each in its place, or all in the only one."""
    n, last = len(start), len(out) - 1
    m, y, a = np.zeros((n, LANES), np.float32), np.zeros((n, LANES), np.float32), np.zeros((n, LANES), np.float32)
    x, up = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    diagonal, e = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    b, f = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    extend0, extend1, before = extend[0], extend[1], 4
    for j in range(len(window) - 1, -1, -1):
        here = window[j]
        t = table[before * 5 + here]
        b[:], f[:] = begin[j], finish[j]
        _column(t, b, f, start, end, gap0, gap1, extend0, extend1, m, y, a, x, up, diagonal, e)
        place = min(j, last)
        for lane in range(LANES):
            out[place, lane] += e[lane]
        before = here


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _add_ends(tables, windows, begin, finish, start, end, gap0, gap1, extend, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """`_ends` of groups of miRNAs and windows, to out (groups, w, places, lane)."""
    for g in range(len(tables)):
        for w in range(len(windows)):
            _ends(tables[g], windows[w], begin[w], finish[w], start, end, gap0, gap1, extend, out[g, w])


@numba.njit(fastmath=True, error_model="numpy", cache=True, nogil=True)
def _add_pairs(scores, rows, windows, begin, finish, start, end, gap0, gap1, extend, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The sum (n,) of all duplexes of each pair, as many pairs at once as there are lanes; rows (position, n)."""
    n, extend0, extend1 = len(start), extend[0], extend[1]
    t, m = np.empty((n, LANES), np.float32), np.empty((n, LANES), np.float32)
    y, a = np.empty((n, LANES), np.float32), np.empty((n, LANES), np.float32)
    x, up = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    diagonal, e = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    b, f, total = np.empty(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    row, column = np.empty((n, LANES), np.int64), np.empty(LANES, np.int64)
    for low in range(0, len(out), LANES):
        m[:], y[:], a[:], total[:], column[:] = 0.0, 0.0, 0.0, 0.0, rna.N
        for i in range(n):
            for lane in range(LANES):
                row[i, lane] = rows[i, min(low + lane, len(out) - 1)]
        for j in range(windows.shape[1] - 1, -1, -1):
            for lane in range(LANES):
                pair = min(low + lane, len(out) - 1)
                column[lane] = column[lane] % 5 * 5 + windows[pair, j]
                b[lane], f[lane] = begin[pair, j], finish[pair, j]
            for i in range(n):
                for lane in range(LANES):
                    t[i, lane] = scores[row[i, lane], column[lane]]
            _column(t, b, f, start, end, gap0, gap1, extend0, extend1, m, y, a, x, up, diagonal, e)
            for lane in range(LANES):
                total[lane] += e[lane]
        for lane in range(min(LANES, len(out) - low)):
            out[low + lane] = total[lane]


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _find_peaks(  # type: ignore[no-untyped-def]  # pragma: no cover
    tables, text, bounds, lengths, begin, finish, start, end, gap0, gap1, extend, factor, width, least, out
):
    """Peaks of E with a sum over their window of at least `least` (groups, lane): out (3, n), and how many.

    Transcripts stand on the text from `bounds` on; `factor` is what the window that starts at each nucleotide is
    weighed with. Out: the row of the miRNA, the number of the transcript, the start of the window on the text.
    """
    found, highest, e = 0, factor.max() * width, np.empty((lengths.max(), LANES), np.float32)
    for g in range(len(tables)):
        for t in range(len(bounds)):
            low, length = bounds[t], lengths[t]
            high = low + length
            e[:length] = 0.0
            _ends(
                tables[g], text[low:high], begin[low:high], finish[low:high], start, end, gap0, gap1, extend, e[:length]
            )
            for j in range(length):
                for lane in range(LANES):
                    here = e[j, lane]
                    if here * highest < least[g, lane] or not here > 0.0:
                        continue
                    peak = True
                    for k in range(max(0, j - NEAR), j):
                        peak &= e[k, lane] < here
                    for k in range(j + 1, min(length, j + NEAR + 1)):
                        peak &= e[k, lane] <= here
                    if not peak:
                        continue
                    first = min(max(0, j - (width - SPAN) // 2), length - width)
                    total = np.float32(0.0)
                    for k in range(first, first + width):
                        total += e[k, lane]
                    if total * factor[low + first] >= least[g, lane]:
                        out[0, found], out[1, found], out[2, found] = g * LANES + lane, t, low + first
                        found += 1
    return found


@numba.njit(fastmath={"nsz", "contract", "reassoc"}, error_model="numpy", cache=True, nogil=True)
def _best(scores, rows, columns, begin, finish, start, end, gap0, gap1, extend, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The heaviest duplex of each pair: out (n, position), the column each nucleotide stands against, or -1.

    The recursions of the model with the largest term for the sum, in logarithms; the way back compares once more.
    """
    n, length = len(start), columns.shape[1]
    m, x = np.full((n + 1, length + 1), -np.inf, np.float32), np.full((n + 1, length + 1), -np.inf, np.float32)
    y, a = np.full((n + 1, length + 1), -np.inf, np.float32), np.full((n + 1, length + 1), -np.inf, np.float32)
    for p in range(len(out)):
        best, i, j = np.float32(-np.inf), 0, 0
        for row in range(1, n + 1):
            of_row, begins, ends = scores[rows[p, row - 1]], start[row - 1], end[row - 1]
            open0, open1 = gap0[row - 1], gap1[row - 1]
            for k in range(1, length + 1):
                m[row, k] = of_row[columns[p, k - 1]] + max(begins + begin[p, k - 1], a[row - 1, k - 1])
                x[row, k] = max(open0 + m[row - 1, k], extend[0] + x[row - 1, k])
            for k in range(1, length + 1):
                y[row, k] = max(open1 + m[row, k - 1], extend[1] + y[row, k - 1])
                a[row, k] = max(m[row, k], x[row, k], y[row, k])
                if m[row, k] + ends + finish[p, k - 1] > best:
                    best, i, j = m[row, k] + ends + finish[p, k - 1], row, k
        out[p] = -1
        while i > 0:
            out[p, i - 1] = j - 1
            if start[i - 1] + begin[p, j - 1] >= a[i - 1, j - 1]:
                break
            i, j = i - 1, j - 1
            if m[i, j] >= x[i, j] and m[i, j] >= y[i, j]:
                continue
            if x[i, j] >= y[i, j]:
                while gap0[i - 1] + m[i - 1, j] < extend[0] + x[i - 1, j]:
                    i -= 1
                i -= 1
            else:
                while gap1[i - 1] + m[i, j - 1] < extend[1] + y[i, j - 1]:
                    j -= 1
                j -= 1
