"""Who is named in a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.mentions import mention_spans, mentioned, texts_of

NAMES = (("p1", "Dana Keller"), ("p2", "Ana Novak"), ("p3", "Zoë Ana-Lima"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("@Ana could you look?", {"p2"}),
        ("(@ana novak), please; and @DANA.", {"p1", "p2"}),
        ("Thanks @Dana\nKeller!", {"p1"}),
        ("@Zoë, @ana’s form", {"p2", "p3"}),
        ("@Zoe\u0308 in other bytes", {"p3"}),
        ("@Zoë Ana-Lima", {"p3"}),
        ("write to dana@ana.example or @ana.example", set()),
        ("https://example.org/@ana and @@ana and a/@ana", set()),
        ("`@ana` and ```\n@dana\n```", set()),
        ("@Anabel, @ana-lena, ana, @", set()),
        ("**@ana** _@dana", {"p2"}),
    ],
)
def test_a_name_behind_an_at_sign_names_a_member(text: str, named: set[str]) -> None:
    assert mentioned([text], NAMES) == named


def test_a_first_name_that_two_members_have_names_neither_and_the_whole_name_does() -> None:
    names = (("p1", "Ana Keller"), ("p2", "Ana Novak"), ("p3", "Ana Novak"))
    assert mentioned(["@Ana"], names) == frozenset()
    assert mentioned(["@ana keller and @Ana Novak"], names) == {"p1"}


def test_only_what_the_author_says_can_name_somebody() -> None:
    body = {"title": "@ana", "lines": [{"who": "x", "text": "@dana"}], "done": "@zoë", "files": []}
    assert mentioned(texts_of(body), NAMES) == {"p2", "p3"}


@given(st.text(alphabet="@anA .,-dk\n`", max_size=60))
def test_what_is_found_is_a_name_behind_an_at_sign(text: str) -> None:
    before = 0
    for start, end, by in mention_spans(text, NAMES):
        assert start >= before and text[start] == "@" and by in {"p1", "p2", "p3"}
        assert " ".join(text[start + 1 : end].split()).lower() in dict(NAMES)[by].lower()
        before = end
