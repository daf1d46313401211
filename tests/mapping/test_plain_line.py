"""A line without any mark takes a short cut past the parsers: it becomes what they would have made of it."""

from __future__ import annotations

import re
from random import Random

import pytest

from bridge.mapping import markdown
from bridge.mapping.mapper import render
from bridge.mapping.text import quote
from bridge.model import Markup

WORDS = [
    "Basket",
    "is",
    "42%",
    "and/or",
    "x_1",
    "(twice)",
    "1.",
    "-",
    "+",
    "=",
    "a.b",
    "ünï",
    "日本",
    '"so"',
    "it's",
    "  ",
    "?!",
]


def lines(count: int) -> list[str]:
    dice = Random(1)
    return ["A" + " ".join(dice.choices(WORDS, k=dice.randrange(1, 9))) for _ in range(count)]


@pytest.mark.parametrize("markup", [Markup.GFM, Markup.ADF, Markup.HTML, Markup.TEXTILE])
@pytest.mark.parametrize("around", ["{}", "- {}", "1. {}", "Said: {} (so far)", "> {}"], ids=repr)
def test_it_is_what_the_parser_makes_of_it(monkeypatch, markup, around):
    texts = lines(60)
    short = [render(around.format(quote(text)), markup).content for text in texts]

    monkeypatch.setattr(markdown, "_PLAIN", re.compile(r"(?!)"))

    assert short == [render(around.format(quote(text)), markup).content for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "http://a.example",
        "see //a.example",
        "*so*",
        "a`b`",
        "[x](y)",
        "1. first",
        "- dash",
        "# no",
        "a\nb",
        "~~x~~",
    ],
)
def test_what_may_be_a_mark_is_left_to_the_parser(text):
    assert not markdown._PLAIN.fullmatch(text)
