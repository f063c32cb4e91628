"""Money: typed amounts become minor units and back, exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Malformed
from app.domain.money import AMOUNT_MINOR_MAX, DECIMALS, Money, amount_text, money_of_text


@given(st.integers(0, AMOUNT_MINOR_MAX), st.sampled_from(sorted(DECIMALS)))
def test_an_amount_that_was_written_is_read_back_exactly(amount: int, currency: str) -> None:
    money = Money(amount, currency)
    assert money_of_text(amount_text(money), currency) == money


@pytest.mark.parametrize(
    ("typed", "currency", "amount"),
    [
        ("45.50", "EUR", 4550), ("45.5", "eur", 4550), ("45", "USD", 4500), (" 0.05 ", "EUR", 5), ("0", "EUR", 0),
        ("4500", "JPY", 4500), ("1.234", "KWD", 1234), ("007.10", "EUR", 710),
    ],
)  # fmt: skip
def test_an_amount_is_read_in_the_decimals_of_its_currency(typed: str, currency: str, amount: int) -> None:
    assert money_of_text(typed, currency) == Money(amount, currency.upper())


@pytest.mark.parametrize(
    ("typed", "currency", "word"),
    [
        ("", "EUR", "Type an amount, like 45.50"),
        ("-3", "EUR", "not negative"),
        ("1,500", "EUR", "nothing between thousands"),
        ("1 500", "EUR", "nothing between thousands"),
        ("45.505", "EUR", "EUR has 2 decimals"),
        ("45.5", "JPY", "JPY has no decimals. Write it like 45."),
        ("1.2345", "KWD", "KWD has 3 decimals. Write it like 45.500"),
        ("4e3", "EUR", "no amount"),
        ("٤٥", "EUR", "no amount"),
        (".50", "EUR", "no amount"),
        ("999999999999999", "EUR", "too large"),
    ],
)
def test_what_is_no_amount_is_refused_with_what_to_write(typed: str, currency: str, word: str) -> None:
    with pytest.raises(Malformed, match=word) as refusal:
        money_of_text(typed, currency, "rate")
    assert refusal.value.field == "rate"


def test_a_currency_that_is_none_is_refused_at_its_own_field() -> None:
    with pytest.raises(Malformed) as refusal:
        money_of_text("1", "XYZ")
    assert refusal.value.field == "currency"
