"""Money as people read it: `€45.50`, `¥4,500`, `KWD 1.234`.

Rule 1: the decimals are those of ISO 4217 (`app.domain.money`), whatever a locale thinks.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from babel.numbers import format_currency

from app.domain.money import DECIMALS, Money

LOCALE = "en"  # the pages are in English


@lru_cache(maxsize=4096)
def money_text(money: Money) -> str:
    """Return an amount with the sign of its currency; whole amounts go without decimals."""
    decimals = DECIMALS[money.currency]
    amount = Decimal(money.amount_minor).scaleb(-decimals)
    whole = money.amount_minor % 10**decimals == 0
    pattern = "¤#,##0" + ("" if whole or not decimals else "." + "0" * decimals)
    made: str = format_currency(amount, money.currency, pattern, locale=LOCALE, currency_digits=False)
    return made.replace(money.currency, f"{money.currency}\N{NO-BREAK SPACE}")


def range_text(low: Money, high: Money) -> str:
    """Return `€40 to €55.50`, or one amount where the two are the same."""
    return money_text(low) if low == high else f"{money_text(low)} to {money_text(high)}"
