"""What people read where a body does not fit its schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from app.domain.bodies.refusals import PATTERNS
from app.domain.errors import InvalidBody
from app.domain.events import KINDS, checked_body
from app.views.compose import FORMS, parts_of
from app.views.compose_parts import Around, Typed, place_of
from tests.bodies import body_for, fixed_terms, hourly_terms

AROUND = Around({}, ())


def _patterns(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]
        for each in value.values():
            yield from _patterns(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _patterns(each)


def test_every_pattern_of_a_schema_has_its_sentence() -> None:
    _, schemas = msgspec.json.schema_components(KINDS.values())
    assert set(_patterns(schemas)) - {r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"} <= PATTERNS.keys()


@pytest.mark.parametrize(
    ("kind", "body", "field", "sentence"),
    [
        ("deliverable", body_for("deliverable", links=["https://a.example", "ftp: x"]), "body.links.1",
         "A link begins with https:// and has no spaces."),
        ("deliverable", body_for("deliverable", links=["https://a.example"] * 11), "body.links", "At most 10 of them."),
        ("deliverable", body_for("deliverable", title="x" * 201), "body.title", "At most 200 characters."),
        ("deliverable", body_for("deliverable", holds_rights="yes"), "body.holds_rights", "This must be yes or no."),
        ("message", {}, "body.text", "Fill in the text: it is missing."),
        ("message", {"text": "x", "colour": "red"}, "body.colour", "There is no field `colour` here."),
        ("message", {"text": 3}, "body.text", "This must be a text."),
        ("terms.proposed", hourly_terms(pay="daily"), "body.pay", "That is none of the choices. Choose another."),
        ("terms.proposed", hourly_terms(weekly_limit_hours=169), "body.weekly_limit_hours", "At most 168."),
        ("terms.proposed", hourly_terms(rate_minor=0), "body.rate_minor", "At least 1."),
        ("terms.proposed", hourly_terms(rate_minor="5"), "body.rate_minor", "This must be a whole number."),
        ("terms.proposed", fixed_terms(milestones=[{"key": "m1", "name": "x", "amount_minor": 5}]),
         "body.milestones.0.due_on", "Fill in the due date: it is missing."),
        ("transcript", body_for("transcript", lines=[]), "body.lines", "Name at least one."),
    ],
)  # fmt: skip
def test_a_refusal_of_the_schema_is_a_sentence_beside_its_field(
    kind: str, body: dict[str, Any], field: str, sentence: str
) -> None:
    with pytest.raises(InvalidBody) as refused:
        checked_body(kind, body)
    assert (refused.value.field, str(refused.value)) == (field, sentence)


def test_a_refused_link_is_told_at_the_links() -> None:
    parts = parts_of(FORMS["deliverable"])
    assert place_of("body.links.0", Typed({"links": "ftp: x"}, {}), parts, AROUND) == "links"
    terms, typed = parts_of(FORMS["terms.proposed"]), Typed({"milestones.1.name": "Site"}, {"milestones": 2})
    assert place_of("body.milestones.0.due_on", typed, terms, AROUND) == "milestones.1.due_on"
