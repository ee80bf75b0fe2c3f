"""Pages: one well-formed file that loads nothing, in which text is text and numbers are those that were given."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from mirscope import page, plot
from mirscope.page import Facts, Note, Page, Picture, Section, Table, Tiles

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Strict(HTMLParser):
    """Every tag is closed in its turn; text, tags and what they refer to are kept."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.tags, self.references = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "data", "action", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def alone(text):
    """The page, read strictly, after a check that nothing is loaded and nothing runs."""
    read = Strict(text)
    assert all(reference.startswith("data:") for reference in read.references)
    assert "script" not in read.tags
    assert "link" not in read.tags
    assert not re.search(r"@import|url\(|https?://", text)
    return read


def test_a_page_of_everything():
    table = pd.DataFrame({"miRNA": ["let-7a", ""], "reads": [12345, 6], "share": ["3.1 %", "–"], "mfe": [-21.34, 0.0]})
    drawn = plot.bars(pd.Series({"a": 3, "b": 0}), xlabel="reads")
    parts = [
        "One.",
        "Two.",
        Note("Careful."),
        Tiles({"all": 1234567}),
        Facts({"e value": 0.1, "listed": ["a", "b"], "nothing": None, "yes": True}),
        Picture(drawn, "A picture."),
        Picture(drawn, "Another."),
        Table(table, "A table."),
    ]
    text = Page("Title", "below", [Section("Part", parts), Section("Empty", [])]).html()
    read = alone(text)
    for words in ("One.", "Careful.", "1,234,567 ", "let-7a", "12,345", "3.1 %", "-21.3", "a, b", "yes", "A picture."):
        assert words in read.text
    assert text.count('class="figures"') == 1
    assert read.tags.count("img") == 2
    assert re.findall(r'<th scope="col"( class="number")?>(\w+)', text) == [
        ("", "miRNA"),
        (' class="number"', "reads"),
        (' class="number"', "share"),
        (' class="number"', "mfe"),
    ]
    assert "<td>–</td>" in text


def test_text_is_text():
    evil = '<script>alert("x")</script> & "quotes"'
    table = pd.DataFrame({evil: [evil]})
    picture = Picture(plot.bars(pd.Series({"a": 1}), xlabel="n"), evil)
    parts = [evil, Note(evil), Facts({evil: evil}), Tiles({evil: evil}), Table(table, evil), picture]
    read = alone(Page(evil, evil, [Section(evil, parts)]).html())
    assert read.text.count(evil) == 14


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234, "1,234"),
        (1234.0, "1,234"),
        (1234.5, "1,234"),
        (0.01234, "0.0123"),
        (4.16e-7, "4.16e-07"),
        ("", "–"),
        (None, "–"),
        (False, "no"),
        ({"a": 1000, "b": 0.5}, "a 1,000, b 0.5"),
        ((1, "x"), "1, x"),
    ],
)
def test_values_as_shown(value, text):
    assert page.shown(value) == text


def test_shares():
    assert [page.share(*pair) for pair in ((1, 3), (0, 3), (1, 30), (1, 3000), (3, 3), (0, 0))] == [
        "33 %",
        "0 %",
        "3.3 %",
        "0.033 %",
        "100 %",
        "–",
    ]


def test_pages_of_the_same_are_the_same(tmp_path):
    made = [Page("a", "", [Section("b", [Picture(plot.bars(pd.Series({"x": 2}), xlabel="n"), "c")])]) for _ in "ab"]
    for one, name in zip(made, ("a.html", "b.html"), strict=True):
        one.write(tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
