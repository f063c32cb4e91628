"""Tables of search: how far each room is indexed, and which words have yet to be destroyed.

Rule 1: the index itself is made by `search_index.py`: a virtual table on SQLite, a table with a GIN on PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table

from app.storage.tables.columns import instant, metadata

search_heads = Table(
    "search_heads",
    metadata,
    # Short, for each word of the index carries it.
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("room", String(26), nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),  # entries before this seq are in the index
)

search_erasures = Table(  # erased from the index; the words may still lie in its files until these were rewritten
    "search_erasures",
    metadata,
    Column("room", String(26), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    instant("at"),
)
