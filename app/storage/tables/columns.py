"""What all tables share. Instants are integer Unix milliseconds; digests and salts are raw bytes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def instant(name: str, *, nullable: bool = False) -> Column[int]:
    """Return a column of Unix milliseconds."""
    return Column(name, BigInteger, nullable=nullable)
