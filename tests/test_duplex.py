"""The duplex model against the plainest way: write down every duplex and add up its weight."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirscope import datasets, metrics, models, predict, rna
from mirscope.models import duplex


def network(length=50, state=1, **config):
    torch.manual_seed(state)
    model = models.create("duplex", target_length=length, **config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
        model.norm.running_mean.fill_(0.3)
        model.norm.running_var.fill_(2.0)
    return model


def every_duplex(n, length):
    """All ways to put down base pairs (i, j), both rising, from any start; the gap rules decide what each weighs."""
    places = list(itertools.product(range(n), range(length)))

    def grow(chain):
        yield chain
        i, j = chain[-1]
        for next_i, next_j in places:
            if next_i > i and next_j > j:
                yield from grow([*chain, (next_i, next_j)])

    for place in places:
        yield from grow([place])


def weight(model, mirna, target, chain):
    """The weight of one duplex by the formulas of the design; 0 where a bulge on both sides stands between pairs."""
    m, r = rna.encode([mirna])[0], rna.encode([target])[0][::-1]
    table = model.scores().detach().double()
    gap0, gap1 = model.gap_open.detach().double()
    extend0, extend1 = -torch.nn.functional.softplus(model.gap_extend.detach().double())
    begin, finish = model.flanks(torch.from_numpy(rna.encode([target]))).detach().double().log()[:, 0]
    total = 0.0
    for number, (i, j) in enumerate(chain):
        total += table[i, m[i - 1] if i else 4, m[i], r[j - 1] if j else 4, r[j]]
        if number == 0:
            total += model.start[i].detach().double() + begin[j]
            continue
        before_i, before_j = chain[number - 1]
        skipped_i, skipped_j = i - before_i - 1, j - before_j - 1
        if skipped_i and skipped_j:
            return 0.0
        if skipped_i:  # opened at the first nucleotide left out, extended by the others
            total += gap0[before_i + 1] + extend0 * (skipped_i - 1)
        if skipped_j:
            total += gap1[before_i] + extend1 * (skipped_j - 1)
    i, j = chain[-1]
    return float((total + model.end[i].detach().double() + finish[j]).exp())


@pytest.mark.parametrize(("mirna", "target"), [("GAC", "GUCA"), ("ACGU", "ACG"), ("UG", "CCAUA"), ("GNA", "UCAC")])
@pytest.mark.parametrize("context", [True, False])
def test_the_sum_is_over_every_duplex(mirna, target, context):
    model = network(len(target), context=context)
    weights = {tuple(c): weight(model, mirna, target, c) for c in every_duplex(len(mirna), len(target))}
    log_weight, [found] = model.base_pairs(*model.encode([mirna], [target]))
    # beyond the miRNA's end stand N, which may pair with weight exp(-30) each
    assert float(log_weight.exp()) == pytest.approx(sum(weights.values()), rel=1e-9)
    for i, j in itertools.product(range(len(mirna)), range(len(target))):
        expected = sum(w for chain, w in weights.items() if (i, len(target) - 1 - j) in chain) / sum(weights.values())
        assert float(found[i, j]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("context", [True, False])
def test_the_derivatives_are_those_of_the_sum(context):
    model = network(9, context=context).double()
    mirna, target = model.encode(["GUCANUGACG", "ACGUACGU"], ["CGUAACGAU", "NUGACUGAC"])
    weights = [part.detach().double().requires_grad_() for part in model._weights(target)]

    def log_weight(*weights):
        return duplex._LogWeight.apply(mirna, target, *weights)

    assert torch.autograd.gradcheck(log_weight, weights, atol=1e-7, rtol=1e-5, fast_mode=True)
    model.log_weight(mirna, target).sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            assert name.startswith(("norm", "mirna_offset", "window_offset"))  # not within the sum
            continue
        towards, sums = torch.randn_like(parameter), []
        for step in (1e-5, -2e-5, 1e-5):  # there, beyond, and back
            with torch.no_grad():
                parameter += step * towards
                sums.append(float(model.log_weight(mirna, target).sum()))
        expected = (sums[0] - sums[1]) / 2e-5
        assert float((parameter.grad * towards).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("target", ["N" * 50, "ACGU" * 12 + "NN"])
def test_nothing_known_still_gives_a_score(target):
    model = network()
    codes = model.encode(["N" * 22, "UGAGGUAGUAGGUUGUAUAGUU"], [target, target])
    logits = model(*codes)
    logits.sum().backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


rnas = st.text("ACGU", min_size=15, max_size=30)


@settings(deadline=None, max_examples=25)
@given(
    mirnas=st.lists(rnas | st.text("ACGUN", min_size=15, max_size=25), min_size=1, max_size=40),
    transcript=st.text("ACGUN", min_size=50, max_size=140),
)
def test_the_linear_scan_is_the_training_form(mirnas, transcript):
    model = network()
    codes, whole = torch.from_numpy(rna.encode(mirnas, 25)), torch.from_numpy(rna.encode([transcript])[0])
    starts = torch.arange(len(transcript) - 49)
    slow = models.Model.score_windows(model, codes, whole, starts)
    torch.testing.assert_close(model.score_windows(codes, whole, starts), slow, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_positions_of_one_window_add_up_to_it():
    model = network()
    rng = np.random.default_rng(2)
    codes = torch.from_numpy(rng.integers(0, 4, (5, 22)).astype(np.int8))
    codes = torch.nn.functional.pad(codes, (0, 3), value=rna.N)
    window = torch.from_numpy(rng.integers(0, 4, 50).astype(np.int8))
    whole = model.position_weights(codes, window).logsumexp(1)
    expected = model.log_weight(codes, window.expand(5, -1))
    torch.testing.assert_close(whole.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["duplex", "duplex_clash", "duplex_eclip"])
def test_bundled_weights_reach_what_their_record_says(name, data_path):
    data_path("clash_hejret2023_mirbench")
    trained = models.load(name)
    pairs = datasets.load_pairs("clash_hejret2023_mirbench:test")
    scores = predict.score(trained, pairs)
    for measure, found in (
        ("average_precision", metrics.average_precision_score(pairs["label"], scores)),
        ("calibration_error", metrics.calibration_error(pairs["label"], scores)),
    ):
        assert found == pytest.approx(trained.provenance["test"][measure][0], abs=0.002)
    assert metrics.average_precision_score(pairs["label"], scores) > metrics.average_precision_score(
        pairs["label"], predict.score(models.load("rnaduplex"), pairs)
    )


def test_the_learned_energies_are_those_of_rna():
    """Watson-Crick above G:U above mismatch throughout the seed, and the seed above the free centre (nt 9-11)."""
    pair = models.load("duplex").pair.detach()
    letters = {nucleotide: place for place, nucleotide in enumerate(rna.ALPHABET)}
    kinds = {
        "match": ("GC", "CG", "AU", "UA"),
        "wobble": ("GU", "UG"),
        "mismatch": ("AA", "AC", "AG", "CC", "CU", "UU"),
    }
    match, wobble, mismatch = (
        torch.stack([pair[:, letters[m], letters[r]] for m, r in kind]).mean(0) for kind in kinds.values()
    )
    assert (match > wobble)[1:8].all()
    assert (wobble > mismatch)[1:8].all()
    assert (match - mismatch)[1:8].mean() > (match - mismatch)[8:11].mean()
