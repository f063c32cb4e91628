"""Money: whole minor units with a currency, and the text that people type for it. Pure.

Rule 1: an amount is an integer of the currency's minor unit (cents, yen, fils); there are no floats.
Rule 2: each currency has its own number of decimals (ISO 4217, list one); 45.5 yen is refused, not rounded.
Rule 3: typed amounts have a dot before the decimals and nothing between thousands, since `1,500` means two things.
"""

from __future__ import annotations

import re

from msgspec import Struct

from app.domain.errors import Malformed

AMOUNT_MINOR_MAX = 10**12  # ten thousand million of most currencies: beyond it, it is a typing mistake

_TWO = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC "
    "CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD "
    "KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO "
    "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL "
    "THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW ZWG"
)
_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
DECIMALS: dict[str, int] = {
    **dict.fromkeys(_TWO.split(), 2),
    **dict.fromkeys(_NONE.split(), 0),
    **dict.fromkeys(_THREE.split(), 3),
}

_PARTED = re.compile(r"[0-9.,' \u00a0\u202f]*[,' \u00a0\u202f][0-9.,' \u00a0\u202f]*")
_AMOUNT = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,9}))?")


class Money(Struct, frozen=True):
    """An amount in minor units of a currency: 4550 EUR is 45.50 euros."""

    amount_minor: int
    currency: str

    def __str__(self) -> str:
        """Return `45.50 EUR`."""
        return f"{amount_text(self)} {self.currency}"


def checked_currency(text: str, field: str = "currency") -> str:
    """Return the code of a currency in capitals.

    Raises:
        Malformed: if ISO 4217 has no such currency.
    """
    code = text.strip().upper()
    if code not in DECIMALS:
        raise Malformed("There is no such currency. Use its three letters, like EUR or USD.", field=field)
    return code


def money_of_text(text: str, currency: str, field: str = "amount") -> Money:
    """Return what a person typed, like `45.50`, as money; zero is allowed.

    Raises:
        Malformed: naming `field`, for anything that is not exactly an amount of this currency.
    """
    code = checked_currency(currency)
    decimals = DECIMALS[code]
    typed = text.strip()
    example = "45" + ("." + "50"[:decimals].ljust(decimals, "0") if decimals else "")
    if not typed:
        raise Malformed(f"Type an amount, like {example}.", field=field)
    if typed.startswith(("-", "\u2212")):
        raise Malformed("An amount is not negative.", field=field)
    if _PARTED.fullmatch(typed) is not None:
        raise Malformed(
            f"Write the amount with a dot before its decimals and nothing between thousands, like {example}.",
            field=field,
        )
    found = _AMOUNT.fullmatch(typed)
    if found is None:
        raise Malformed(f"This is no amount. Write it like {example}.", field=field)
    whole, fraction = found.group(1), (found.group(2) or "")
    if len(fraction) > decimals:
        ends = "no decimals" if decimals == 0 else f"{decimals} decimals"
        raise Malformed(f"{code} has {ends}. Write it like {example}.", field=field)
    amount_minor = int(whole + fraction.ljust(decimals, "0"))
    if amount_minor > AMOUNT_MINOR_MAX:
        raise Malformed("This amount is too large to be meant.", field=field)
    return Money(amount_minor, code)


def amount_text(money: Money) -> str:
    """Return the amount as it would be typed: `45.50`; `money_of_text` reads it back."""
    decimals = DECIMALS[money.currency]
    digits = str(money.amount_minor).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
