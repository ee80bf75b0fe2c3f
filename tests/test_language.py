"""The language model: what is masked, what a folder holds, that a run can be broken off."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mirscope import language, rna
from mirscope.errors import InputError, UsageError
from mirscope.language import MASK, UNKNOWN, WORDS, Settings, Size

TINY = Size(layers=1, hidden=8, heads=2, intermediate=8)
SHORT = Settings(steps=6, batch_size=8, length=32, every=2, held_out=0.2, learning_rate=0.01)


@pytest.fixture(scope="module")
def transcripts():
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(list("ACGU"), length)) for length in (10, 40, 90, 33, 200, 64, 120, 20, 75, 51)]


@pytest.fixture(scope="module")
def folder(transcripts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("language") / "model"
    language.pretrain(transcripts, folder, settings=SHORT, size=TINY)
    return folder


def kmers(*sequences, length=None):
    return language.tokens(torch.from_numpy(rna.encode(sequences, length)))


def test_tokens_are_the_words():
    numbers = kmers("AAAACGUUUUNACGU")[0].tolist()
    words = [WORDS[number + language.FIRST] if number != UNKNOWN else "-" for number in numbers]
    assert words == ["AAAA", "AAAC", "AACG", "ACGT", "CGTT", "GTTT", "TTTT", "-", "-", "-", "-", "ACGT"]
    assert len(set(WORDS)) == len(WORDS) == 261


def test_a_sentence_ends_after_the_last_kmer():
    ids, heeded = language.sentences(kmers("ACGUAC", "ACGUACGU", "A", length=10))
    words = [[WORDS[i] for i in row] for row in ids]
    assert words[0] == ["[CLS]", "ACGT", "CGTA", "GTAC", "[SEP]", "[PAD]", "[PAD]", "[PAD]", "[PAD]"]
    assert words[2][:3] == ["[CLS]", "[SEP]", "[PAD]"]
    assert heeded.sum(1).tolist() == [5, 7, 2]


@given(
    st.lists(st.text("ACGUN", min_size=4, max_size=60), min_size=1, max_size=5),
    st.integers(4, 9),
    st.integers(0, 10_000),
)
def test_masks(sequences, span, seed):
    tokens = kmers(*sequences)
    draw = {"share": 0.3, "span": span, "generator": torch.Generator().manual_seed(seed)}
    ids, heeded, chosen = language.mask(tokens, replace=False, **draw)
    known = tokens != UNKNOWN
    assert not (chosen & ~known).any()
    assert (ids[:, 1:-1][chosen] == MASK).all()
    plain, everything = language.sentences(tokens)
    assert torch.equal(ids[:, 1:-1][~chosen], plain[:, 1:-1][~chosen])
    assert torch.equal(heeded, everything)
    seen = language.visible(tokens, chosen)
    windows = seen.unfold(1, 4, 1)
    assert not windows[chosen].all(1).any()  # each has a letter that nothing shows
    assert windows[known & ~chosen].all()
    for row in range(len(tokens)):  # runs are as long as asked for, where neither the end nor an N cuts them
        run = 0
        for place in range(tokens.shape[1] + 1):
            if place < tokens.shape[1] and chosen[row, place]:
                run += 1
                continue
            if run and place < tokens.shape[1] and known[row, place] and known[row, :place].all():
                assert run >= span
            run = 0


def test_about_the_share_asked_for_is_masked_and_replaced():
    tokens = torch.randint(0, 256, (2000, 60), generator=torch.Generator().manual_seed(1))
    ids, _, chosen = language.mask(tokens, share=0.15, span=4, generator=torch.Generator().manual_seed(2))
    assert 0.12 < chosen.float().mean() < 0.16
    some = chosen.any(1)
    tokens, chosen, inner = tokens[some], chosen[some], ids[some, 1:-1]
    hidden = (inner == MASK).any(1)
    kept = ~hidden & (inner == tokens + language.FIRST).all(1)
    assert 0.76 < hidden.float().mean() < 0.84  # a sequence is masked, replaced or left as a whole
    assert 0.07 < kept.float().mean() < 0.13
    assert not (chosen & (inner != MASK))[hidden].any()


def test_visible_letters_of_one_masked_kmer_and_of_a_run():
    tokens = kmers("ACGUACGUACGU")
    chosen = torch.zeros_like(tokens, dtype=torch.bool)
    chosen[0, 4] = True
    assert language.visible(tokens, chosen).all()  # its neighbours tell it: why runs are masked
    chosen[0, 2:6] = True
    assert language.visible(tokens, chosen)[0].tolist() == [place != 5 for place in range(12)]


def test_folder_is_one_of_transformers_and_knows_every_kmer(folder):
    transformers = pytest.importorskip("transformers")
    words = WORDS[language.FIRST :]
    for kind in (transformers.AutoTokenizer, transformers.BertTokenizer):
        tokenizer = kind.from_pretrained(folder, local_files_only=True)
        found = tokenizer(" ".join(words))["input_ids"]
        assert found[1:-1] == list(range(language.FIRST, len(WORDS)))
        assert tokenizer.unk_token_id not in found
    model = transformers.BertForMaskedLM.from_pretrained(folder, local_files_only=True).eval()
    size, state = language.read(folder)
    bert = language.bert(size, positions=31).eval()
    bert.load_state_dict(state)
    ids, heeded = language.sentences(kmers("ACGUACGUAGG", "ACGUUU"))
    with torch.inference_mode():
        ours = bert(input_ids=ids, attention_mask=heeded).last_hidden_state
        theirs = model.bert(input_ids=ids, attention_mask=heeded).last_hidden_state
    assert torch.equal(ours, theirs)


def test_old_folder_with_other_letters_and_order(folder, tmp_path):
    """As DNABERT and 3UTRBERT come: a pickle with old names, words in another order, perhaps U for T."""
    _, state = language.read(folder)
    order = torch.randperm(len(WORDS), generator=torch.Generator().manual_seed(0))
    old = {}
    for key, value in state.items():
        value = value[order] if "word_embeddings" in key else value
        old[
            "bert." + key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        ] = value
    old["bert.embeddings.position_ids"] = torch.arange(31)[None]
    old["bert.pooler.dense.weight"] = torch.zeros(8, 8)
    torch.save(old, tmp_path / "pytorch_model.bin")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS[i].replace("T", "U") if i > 4 else WORDS[i] for i in order))
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    size, found = language.read(tmp_path)
    assert size == TINY
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_what_is_no_folder_of_a_language_model(folder, tmp_path):
    with pytest.raises(InputError, match=r"config\.json: no such file"):
        language.read(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    with pytest.raises(InputError, match="gelu"):
        language.read(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "AAAAAA"]))
    with pytest.raises(InputError, match="4-mers"):
        language.read(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    for name in ("pytorch_model.bin", "model.safetensors"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(InputError, match=name) as caught:
            language.read(tmp_path)
        assert "\n" not in str(caught.value)


def test_a_broken_off_run_ends_as_a_whole_one(folder, transcripts, tmp_path):
    class StopError(Exception):
        pass

    done = []

    def stop(steps):
        done.append(steps)
        if sum(done) == 5:
            raise StopError

    again = tmp_path / "model"
    with pytest.raises(StopError):
        language.pretrain(transcripts, again, settings=SHORT, size=TINY, report=stop)
    with pytest.raises(UsageError, match="--resume"):
        language.pretrain(transcripts, again, settings=SHORT, size=TINY)
    with pytest.raises(UsageError, match="other pieces"):
        language.pretrain(transcripts[:-1], again, settings=SHORT, size=TINY, resume=True)
    language.pretrain(transcripts, again, settings=SHORT, size=TINY, resume=True)
    for name in ("model.safetensors", "history.tsv", "config.json", "vocab.txt"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    assert not (again / "checkpoint.pt").exists()


def test_it_learns(tmp_path):
    """ACGU again and again with errors: the place of a 4-mer tells more than how frequent it is."""
    rng = np.random.default_rng(1)
    wrong = rng.random((80, 64)) < 0.3
    letters = np.where(wrong, rng.integers(0, 4, (80, 64)), np.arange(64) % 4)
    transcripts = ["".join("ACGU"[letter] for letter in row) for row in letters]
    settings = Settings(steps=120, batch_size=32, length=32, every=120, held_out=0.2, learning_rate=0.005)
    size = Size(layers=1, hidden=32, heads=4, intermediate=64)
    found = language.pretrain(transcripts, tmp_path / "model", settings=settings, size=size)["held_out"]
    frequent, fitting = found["most frequent 4-mer"], found["most frequent 4-mer that fits"]
    assert found["model"]["accuracy"] > 2 * frequent["accuracy"]
    assert found["model"]["perplexity"] < 0.7 * frequent["perplexity"]
    assert fitting["perplexity"] < frequent["perplexity"]


def test_held_out_shares_nothing_with_what_is_learned(transcripts):
    shared = [transcripts[4] + transcripts[2], transcripts[2], *transcripts]
    settings = Settings(length=32, held_out=0.3)
    learned, held_out = language._split(shared, settings)
    texts = [[text.strip("N") for text in rna.decode(part.numpy())] for part in (learned, held_out)]
    seen = {text[i : i + 20] for text in texts[1] for i in range(len(text) - 19)}
    assert seen
    assert not seen & {text[i : i + 20] for text in texts[0] for i in range(len(text) - 19)}


def test_settings_are_checked():
    for wrong in ({"span": 3}, {"span": 80}, {"length": 10}, {"steps": 0}, {"masked": 1.0}, {"learning_rate": 0}):
        with pytest.raises(UsageError, match=next(iter(wrong))[:5]):
            Settings(**wrong)
    with pytest.raises(UsageError, match="heads"):
        Size(hidden=10, heads=4)
    with pytest.raises(InputError, match="too little"):
        language._split(["ACGU"], Settings())


def test_command(run, transcripts, tmp_path):
    fasta = "".join(f">t{number}\n{text}\n" for number, text in enumerate(transcripts))
    (tmp_path / "utrs.fa").write_text(fasta)
    sizes = "--layers 1 --hidden 8 --heads 2 --intermediate 8"
    command = f"pretrain utrs.fa -o model --steps 3 --batch-size 4 --length 32 --held-out 0.2 {sizes}"
    assert "most frequent 4-mer that fits" in run(command)[1]
    record = json.loads((tmp_path / "model" / "run.json").read_text())
    assert record["settings"]["steps"] == 3
    assert language.read(tmp_path / "model")[0] == TINY
    assert "span is 2" in run(f"{command} --span 2", code=2)[1]
    assert "nothing.fa" in run("pretrain nothing.fa -o model", code=1)[1]
