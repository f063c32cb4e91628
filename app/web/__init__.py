"""Pages, forms and the JSON API over HTTP.

Rule 1: `{seq:int}` in a route is a number that an entry can have; a longer one names nothing, and no database takes it.
"""

from __future__ import annotations

from starlette.convertors import IntegerConvertor, register_url_convertor


class _SeqConvertor(IntegerConvertor):
    regex = "[0-9]{1,15}"


register_url_convertor("int", _SeqConvertor())
