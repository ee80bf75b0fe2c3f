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

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from mirscope import rna
from mirscope.models import Model

Array = NDArray[np.float32]

MIRNA_LENGTH = 25
NEVER = -30.0
"""Score of a pair with an N."""
FLANK = 12


@dataclass(frozen=True)
class Config:
    """Settings of the network: `context` adds the terms of flanking nucleotides, of the miRNA and of the window."""

    target_length: int = 50
    context: bool = True


class Network(Model):
    """All duplexes of a miRNA (5'->3', 25 nt) and a window, summed with learned energies."""

    stride = 10

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
        value = self.log_weight(self.pair_weights(mirna, target), target) + self.offset(mirna, target)
        return self._normed(value)

    def scores(self) -> Tensor:
        """s for every position and nearest neighbour: (25, m_{i-1}, m_i, r_{j-1}, r_j), N the last of each."""
        stack = torch.einsum("kxy,kuv->xuyv", self.stack_outer, self.stack_inner)
        table = F.pad(self.stack[:, None, None, None, None] * stack, (0, 1, 0, 1, 0, 1, 0, 1))
        table = table + F.pad(self.pair, (0, 1, 0, 1))[:, None, :, None, :]
        table = table.index_fill(2, torch.tensor([rna.N], device=table.device), NEVER)
        return table.index_fill(4, torch.tensor([rna.N], device=table.device), NEVER)

    def pair_weights(self, mirna: Tensor, target: Tensor) -> Tensor:
        """exp(s), (n, 25, window), the target 3'->5'; in double precision, which spans all that can be summed."""
        weights = self.scores().double().exp().flatten(3).flatten(0, 2)  # (25 * 5 * 5, 25)
        m, r = mirna.long(), target.flip(1).long()
        neighbours = F.pad(r, (1, -1), value=rna.N) * 5 + r
        columns = F.one_hot(neighbours, 25).to(weights.dtype)  # (n, window, 25)
        return weights[_rows(m)] @ columns.transpose(1, 2)

    def log_weight(self, pairs: Tensor, target: Tensor) -> Tensor:
        """log Z (n,) of exp(s)."""
        n, _, length = pairs.shape
        gap0, gap1 = self.gap_open.double().exp()
        extend0, extend1 = (-F.softplus(self.gap_extend.double())).exp()
        starts, ends = self.start.double().exp(), self.end.double().exp()
        begin, finish = self.flanks(target)
        steps = torch.arange(length, device=pairs.device)
        between = steps - 1 - steps[:, None]  # nt of the target between two places
        bulges = torch.where(between >= 0, extend1 ** between.clamp(min=0), 0.0)  # Y = G1 M bulges
        m = x = a = pairs.new_zeros(n, length)
        total = pairs.new_zeros(n)
        for i in range(MIRNA_LENGTH):
            x = gap0[i] * m + extend0 * x
            m = pairs[:, i] * (starts[i] * begin + F.pad(a, (1, -1)))
            a = m + x + gap1[i] * (m @ bulges)
            total = total + ends[i] * (m * finish).sum(1)
        return total.log()

    def flanks(self, target: Tensor) -> Tensor:
        """exp(c) and exp(d), (2, n, window), the target 3'->5'."""
        if not self.context:
            return torch.ones(2, *target.shape, dtype=torch.double, device=target.device)
        bases = F.one_hot(target.long(), 5)[:, :, :4].double().transpose(1, 2)  # (n, 4, window)
        found = F.conv1d(bases, self.flank.double(), padding=FLANK)  # (n, 2, window)
        return found.flip(2).exp().transpose(0, 1)

    def offset(self, mirna: Tensor, target: Tensor) -> Tensor | float:
        """o(m) + w(t), (n,)."""
        return self._offset(mirna, target) if self.context else 0.0

    def _offset(self, mirna: Tensor, target: Tensor) -> Tensor:
        places = torch.arange(mirna.shape[1], device=mirna.device)
        by_place = F.pad(self.mirna_offset, (0, 1))[places, mirna.long()].sum(1)
        first, second = target[:, :-1].long(), target[:, 1:].long()
        return by_place.double() + F.pad(self.window_offset, (0, 1, 0, 1))[first, second].sum(1).double() / 10

    def base_pairs(self, mirnas: Sequence[str], targets: Sequence[str]) -> Tensor:
        """The probability of each pair of nucleotides, (n, 25, window), both 5'->3': the derivative of log Z by s."""
        mirna, target = self.encode(mirnas, targets)
        pairs = self.pair_weights(mirna, target).detach().requires_grad_()
        with torch.enable_grad():
            [gradient] = torch.autograd.grad(self.log_weight(pairs, target).sum(), pairs)
        return (gradient * pairs).detach().flip(2)

    @torch.inference_mode()
    def score_windows(self, mirnas: Tensor, transcript: Tensor, starts: Tensor) -> Tensor:
        """As the contract says; in the linear domain, compiled, many miRNAs at once."""
        windows = transcript.unfold(0, self.lengths[1], 1)[starts].contiguous()  # (w, window)
        logs = self._ends(mirnas, windows, places=1)[:, :, 0].log()
        if self.context:
            nothing = windows.new_full((1, self.lengths[1]), rna.N)
            nobody = mirnas.new_full((1, MIRNA_LENGTH), rna.N)
            logs = logs + self._offset(mirnas, nothing)[:, None] + self._offset(nobody, windows)
        return self._normed(logs)

    @torch.inference_mode()
    def position_weights(self, mirnas: Tensor, transcript: Tensor) -> Tensor:
        """E (m, length): the weight of all duplexes whose last pair is at each nucleotide of a whole transcript."""
        return self._ends(mirnas, transcript[None], places=len(transcript))[:, 0]

    def _ends(self, mirnas: Tensor, windows: Tensor, *, places: int) -> Tensor:
        """The weight (m, w, places) of the duplexes that end in each window: at each place, or in all (1 place)."""
        begin, finish = (part.flip(1).float().contiguous().numpy() for part in self.flanks(windows))
        tables, *terms = self._linear(mirnas)
        out = np.zeros((len(tables), len(windows), places, LANES), np.float32)
        _add_ends(tables, windows.numpy(), begin, finish, *terms, out)  # type: ignore[call-arg]
        return torch.from_numpy(np.moveaxis(out, 3, 1).reshape(-1, len(windows), places)[: len(mirnas)])

    def _normed(self, value: Tensor) -> Tensor:
        return self.norm(value.reshape(-1, 1).float()).reshape(value.shape)

    def _linear(self, mirnas: Tensor) -> tuple[Array, ...]:
        """What the kernels take: exp(s) of miRNAs (groups, r_{j-1} and r_j, position, lane), B, N, G0, G1, E."""
        weights = self.scores().exp().flatten(3).flatten(0, 2)
        m = F.pad(mirnas.long(), (0, 0, 0, -len(mirnas) % LANES), value=rna.N)
        tables = weights[_rows(m)].unflatten(0, (-1, LANES)).permute(0, 3, 2, 1)  # (groups, 25, position, lane)
        extend = (-F.softplus(self.gap_extend)).exp()
        terms = (tables, self.start.exp(), self.end.exp(), *self.gap_open.exp(), extend)
        return tuple(np.ascontiguousarray(term.detach().numpy()) for term in terms)


def _rows(mirna: Tensor) -> Tensor:
    """Row (n, 25) of `scores` for each position of miRNAs (n, 25) with its nucleotide and the one before."""
    before = F.pad(mirna, (1, -1), value=rna.N)
    return (torch.arange(mirna.shape[1], device=mirna.device) * 5 + before) * 5 + mirna


LANES = 32
"""miRNAs that a kernel works on at once, in the lanes of the processor's vectors."""


@numba.njit(fastmath=True, error_model="numpy", inline="always")
def _column(t, b, f, start, end, gap0, gap1, extend0, extend1, m, y, a, x, up, diagonal, e):  # type: ignore[no-untyped-def]  # pragma: no cover
    """One target nucleotide: m, y, a (position, lane) of the nucleotide before are replaced; e is what ends here."""
    for lane in range(LANES):
        x[lane] = up[lane] = diagonal[lane] = e[lane] = 0.0
    for i in range(len(start)):
        fresh, open0, open1, last = start[i] * b, gap0[i], gap1[i], end[i] * f
        for lane in range(LANES):
            x[lane] = open0 * up[lane] + extend0 * x[lane]
            bulge = open1 * m[i, lane] + extend1 * y[i, lane]
            pair = t[i, lane] * (fresh + diagonal[lane])
            diagonal[lane] = a[i, lane]
            a[i, lane] = pair + x[lane] + bulge
            y[i, lane] = bulge
            m[i, lane] = pair
            up[lane] = pair
            e[lane] += last * pair


@numba.njit(fastmath=True, error_model="numpy", cache=True, nogil=True)
def _add_ends(tables, windows, begin, finish, start, end, gap0, gap1, extend, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add what ends at each nucleotide to out (groups, w, places, lane): each in its place, or all in the only one."""
    n, extend0, extend1 = len(start), extend[0], extend[1]
    m, y, a = np.empty((n, LANES), np.float32), np.empty((n, LANES), np.float32), np.empty((n, LANES), np.float32)
    x, up = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    diagonal, e = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for g in range(len(tables)):
        for w in range(len(windows)):
            m[:], y[:], a[:] = 0.0, 0.0, 0.0
            before = 4
            for j in range(windows.shape[1] - 1, -1, -1):
                here = windows[w, j]
                _column(
                    tables[g, before * 5 + here],
                    begin[w, j],
                    finish[w, j],
                    start,
                    end,
                    gap0,
                    gap1,
                    extend0,
                    extend1,
                    m,
                    y,
                    a,
                    x,
                    up,
                    diagonal,
                    e,
                )
                place = min(j, out.shape[2] - 1)
                for lane in range(LANES):
                    out[g, w, place, lane] += e[lane]
                before = here
