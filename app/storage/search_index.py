"""The index of search on each database: SQLite's FTS5, or tsvector with a GIN on PostgreSQL.

Rule 1: both hold the same folded words (`app.domain.search`), a space around each, and behind them what is filtered by:
`:a` for every entry, `:k<kind>`, `:b<pseudonym>`. No word has a colon, so nothing that is typed meets these by chance.
Rule 2: within a room the newest comes first by the order of the index itself, so a common word costs no more than a
rare one. On SQLite a row's id is the room's number and the seq; on PostgreSQL every lexeme carries the room's number.
Rule 3: what is typed reaches a statement as a bound value only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct
from sqlalchemy import TextClause, text

from app.domain.search import Term

SEQ_BITS = 32  # of a row's id; a room of four thousand million entries is no room
WALK_ROWS = {"sqlite": 1_000, "postgresql": 3_000}  # the newest, looked through before the index is asked for all
SLOW_BEGINNING_CHARS = 4  # from here on FTS5 gathers all that begins so, in all rooms, before it gives the first

SQLITE_SEARCH = (
    """CREATE VIRTUAL TABLE search_rows USING fts5(words, tokenize = "ascii tokenchars ':._'", prefix = '1 2 3')""",
)
POSTGRESQL_SEARCH = (
    """CREATE TABLE search_rows (number bigint NOT NULL, seq bigint NOT NULL, words text NOT NULL,
        lexemes tsvector NOT NULL, PRIMARY KEY (number, seq))""",
    "CREATE INDEX ix_search_rows_lexemes ON search_rows USING gin (lexemes)",
)
SEARCH: dict[str, tuple[str, ...]] = {"sqlite": SQLITE_SEARCH, "postgresql": POSTGRESQL_SEARCH}
OWN_TABLES = ("search_rows", "search_rows_config", "search_rows_content", "search_rows_data", "search_rows_docsize",
              "search_rows_idx")  # fmt: skip  # which the metadata does not know


class Wanted(Struct, frozen=True):
    """What a room is searched for: one of `kinds` and of `authors` (pseudonyms) where some are named."""

    terms: tuple[Term, ...]
    kinds: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()


class Index(Struct, frozen=True):
    """The statements of one database. Rows and places are passed as JSON (`:rows`, `:places`), limits as numbers."""

    insert: TextClause
    delete: TextClause
    find_newest: TextClause  # among the last :walk rows of each place
    find: TextClause
    times: TextClause
    first_at: TextClause
    behind: TextClause
    erased: TextClause


def indexed_words(words: Sequence[str], kind: str, by: str) -> str:
    """Return what the index holds of an entry."""
    return f" {' '.join(words)} :a :k{kind} :b{by} "


def fts_match(wanted: Wanted) -> str:
    """Return the condition of FTS5's MATCH."""
    needed = [_fts_term(term) for term in wanted.terms if not term.is_unwanted]
    needed += [_fts_any(f":k{kind}" for kind in wanted.kinds)] if wanted.kinds else []
    needed += [_fts_any(f":b{by}" for by in wanted.authors)] if wanted.authors else []
    unwanted = [_fts_term(term) for term in wanted.terms if term.is_unwanted]
    match = " AND ".join(needed) or '":a"'
    return f"({match}) NOT ({' OR '.join(unwanted)})" if unwanted else match


def _fts_term(term: Term) -> str:
    return f'"{" ".join(term.words)}"{" *" if term.is_beginning else ""}'


def _fts_any(tokens: Iterator[str]) -> str:
    return "(" + " OR ".join(f'"{token}"' for token in tokens) + ")"


def is_slow(wanted: Wanted) -> bool:
    """Whether FTS5 would read more than what is shown."""
    return any(term.is_beginning and len(term.words[-1]) >= SLOW_BEGINNING_CHARS for term in wanted.terms)


def needed_parts(wanted: Wanted) -> list[list[str]]:
    """Return what the indexed words must hold: one of each list."""
    parts = [[_part(term)] for term in wanted.terms if not term.is_unwanted]
    parts += [[f" :k{kind} " for kind in wanted.kinds]] if wanted.kinds else []
    return parts + ([[f" :b{by} " for by in wanted.authors]] if wanted.authors else [])


def unwanted_parts(wanted: Wanted) -> list[str]:
    """Return what the indexed words must not hold."""
    return [_part(term) for term in wanted.terms if term.is_unwanted]


def _part(term: Term) -> str:
    return f" {' '.join(term.words)}{'' if term.is_beginning else ' '}"


def lexemes(number: int, indexed: str) -> str:
    """Return the tsvector of an entry: its words and its pairs of neighbours, by which phrases are found."""
    words, _, marks = indexed.partition(" :")
    pairs = dict.fromkeys(pairwise(words.split()))
    found = [f"'{number}:{word}'" for word in dict.fromkeys([*words.split(), *f":{marks}".split()])]
    return " ".join(found + [f"'{number};{a}_{b}'" for a, b in pairs])


def ts_query(number: int, wanted: Wanted) -> str:
    """Return the tsquery of what is wanted in a room; phrases of three words and more need `like_patterns` too."""
    needed = [_ts_term(number, term) for term in wanted.terms if not term.is_unwanted]
    for prefix, values in (("k", wanted.kinds), ("b", wanted.authors)):
        if values:
            needed.append("(" + " | ".join(f"'{number}::{prefix}{value}'" for value in values) + ")")
    needed += [f"!({_ts_term(number, term)})" for term in wanted.terms if term.is_unwanted and len(term.words) < 3]
    return " & ".join(needed) or f"'{number}::a'"


def _ts_term(number: int, term: Term) -> str:
    found = [f"'{number};{a}_{b}'" for a, b in pairwise(term.words)] or [f"'{number}:{term.words[0]}'"]
    return " & ".join(found) + (":*" if term.is_beginning else "")


def like_patterns(wanted: Wanted, *, is_unwanted: bool) -> list[str]:
    """Return LIKE patterns for the phrases of three words and more. Folded words have neither % nor _."""
    return [f"%{_part(term)}%" for term in wanted.terms if term.is_unwanted is is_unwanted and len(term.words) > 2]


_SQLITE = Index(
    insert=text(
        """INSERT INTO search_rows (rowid, words)
        SELECT (json_extract(value, '$[0]') << 32) + json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(:rows)"""
    ),
    delete=text("DELETE FROM search_rows WHERE rowid = (CAST(:number AS INTEGER) << 32) + :seq"),
    find=text(
        """SELECT json_extract(place.value, '$.room') AS room, (
            SELECT group_concat(found.seq) FROM (
                SELECT search_rows.rowid & 4294967295 AS seq FROM search_rows
                WHERE search_rows MATCH json_extract(place.value, '$.match')
                AND search_rows.rowid BETWEEN (json_extract(place.value, '$.number') << 32)
                    + json_extract(place.value, '$.first')
                AND (json_extract(place.value, '$.number') << 32) + json_extract(place.value, '$.last')
                ORDER BY search_rows.rowid DESC LIMIT :limit
            ) AS found
        ) AS seqs FROM json_each(:places) AS place"""
    ),
    find_newest=text(
        """SELECT json_extract(place.value, '$.room') AS room, (
            SELECT group_concat(found.seq) FROM (
                SELECT walked.id & 4294967295 AS seq FROM (
                    SELECT search_rows.rowid AS id, search_rows.words AS words FROM search_rows
                    WHERE search_rows.rowid BETWEEN (json_extract(place.value, '$.number') << 32)
                        + json_extract(place.value, '$.first')
                    AND (json_extract(place.value, '$.number') << 32) + json_extract(place.value, '$.last')
                    ORDER BY search_rows.rowid DESC LIMIT :walk
                ) AS walked
                WHERE NOT EXISTS (SELECT 1 FROM json_each(place.value, '$.must') AS one
                    WHERE NOT EXISTS (SELECT 1 FROM json_each(one.value) AS it WHERE instr(walked.words, it.value)))
                AND NOT EXISTS (SELECT 1 FROM json_each(place.value, '$.never') AS it
                    WHERE instr(walked.words, it.value))
                ORDER BY walked.id DESC LIMIT :limit
            ) AS found
        ) AS seqs FROM json_each(:places) AS place"""
    ),
    times=text(
        """SELECT entries.at, entries.room, entries.seq FROM json_each(:places) AS place
        CROSS JOIN entries ON entries.room = json_extract(place.value, '$[0]')
            AND entries.seq = json_extract(place.value, '$[1]')"""
    ),
    first_at=text(
        """WITH RECURSIVE step (room, at, low, high) AS (
            SELECT json_extract(value, '$.room'), json_extract(value, '$.at'), 0, json_extract(value, '$.size')
            FROM json_each(:places)
            UNION ALL
            SELECT step.room, step.at,
                CASE WHEN (SELECT entries.at FROM entries WHERE entries.room = step.room
                    AND entries.seq = (low + high) / 2) < step.at THEN (low + high) / 2 + 1 ELSE low END,
                CASE WHEN (SELECT entries.at FROM entries WHERE entries.room = step.room
                    AND entries.seq = (low + high) / 2) < step.at THEN high ELSE (low + high) / 2 END
            FROM step WHERE low < high)
        SELECT room, low AS seq FROM step WHERE low >= high"""
    ),
    behind=text(
        """SELECT entries.room, entries.seq, entries.kind, entries.by, disclosures.body
        FROM json_each(:places) AS place
        CROSS JOIN entries ON entries.room = json_extract(place.value, '$.room')
            AND entries.seq >= json_extract(place.value, '$.first')
            AND entries.seq < json_extract(place.value, '$.last')
        JOIN disclosures ON disclosures.room = entries.room AND disclosures.seq = entries.seq
        WHERE entries.kind IN (SELECT value FROM json_each(:kinds))"""
    ),
    erased=text(
        """SELECT erasures.room, erasures.seq FROM json_each(:places) AS place
        CROSS JOIN erasures ON erasures.room = json_extract(place.value, '$.room')
            AND erasures.seq >= json_extract(place.value, '$.first')
            AND erasures.seq < json_extract(place.value, '$.last')"""
    ),
)
_POSTGRESQL = Index(
    insert=text(
        """INSERT INTO search_rows (number, seq, words, lexemes)
        SELECT CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint), value ->> 2, CAST(value ->> 3 AS tsvector)
        FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS value"""
    ),
    delete=text("DELETE FROM search_rows WHERE number = :number AND seq = :seq"),
    find_newest=text(
        """SELECT place.room, found.seqs FROM jsonb_to_recordset(CAST(:places AS jsonb))
            AS place (room text, number bigint, first bigint, last bigint, match text, must text[], never text[])
            CROSS JOIN LATERAL (
            SELECT string_agg(CAST(newest.seq AS text), ',') AS seqs FROM (
                SELECT walked.seq FROM (
                    SELECT seq, words, lexemes FROM search_rows
                    WHERE number = place.number AND seq BETWEEN place.first AND place.last
                    ORDER BY seq DESC LIMIT :walk
                ) AS walked
                WHERE lexemes @@ CAST(place.match AS tsquery)
                AND words LIKE ALL (place.must) AND NOT words LIKE ANY (place.never)
                ORDER BY seq DESC LIMIT :limit
            ) AS newest
        ) AS found"""
    ),
    find=text(
        """SELECT place.room, found.seqs FROM jsonb_to_recordset(CAST(:places AS jsonb))
            AS place (room text, number bigint, first bigint, last bigint, match text, must text[], never text[])
            CROSS JOIN LATERAL (
            SELECT string_agg(CAST(newest.seq AS text), ',') AS seqs FROM (
                WITH hits AS MATERIALIZED (
                    SELECT number, seq, words FROM search_rows WHERE lexemes @@ CAST(place.match AS tsquery)
                )
                SELECT seq FROM hits WHERE number = place.number AND seq BETWEEN place.first AND place.last
                AND words LIKE ALL (place.must) AND NOT words LIKE ANY (place.never)
                ORDER BY seq DESC LIMIT :limit
            ) AS newest
        ) AS found"""
    ),
    times=text(
        """SELECT entries.at, entries.room, entries.seq FROM jsonb_array_elements(CAST(:places AS jsonb)) AS place
        JOIN entries ON entries.room = place ->> 0 AND entries.seq = CAST(place ->> 1 AS bigint)"""
    ),
    first_at=text(
        """WITH RECURSIVE step (room, at, low, high) AS (
            SELECT room, at, CAST(0 AS bigint), size
            FROM jsonb_to_recordset(CAST(:places AS jsonb)) AS place (room text, at bigint, size bigint)
            UNION ALL
            SELECT step.room, step.at,
                CASE WHEN middle.at < step.at THEN middle.seq + 1 ELSE low END,
                CASE WHEN middle.at < step.at THEN high ELSE middle.seq END
            FROM step JOIN entries AS middle ON middle.room = step.room AND middle.seq = (low + high) / 2
            WHERE low < high)
        SELECT room, low AS seq FROM step WHERE low >= high"""
    ),
    behind=text(
        """SELECT entries.room, entries.seq, entries.kind, entries.by, disclosures.body
        FROM jsonb_to_recordset(CAST(:places AS jsonb)) AS place (room text, first bigint, last bigint)
        JOIN entries ON entries.room = place.room AND entries.seq >= place.first AND entries.seq < place.last
        JOIN disclosures ON disclosures.room = entries.room AND disclosures.seq = entries.seq
        WHERE entries.kind IN (SELECT jsonb_array_elements_text(CAST(:kinds AS jsonb)))"""
    ),
    erased=text(
        """SELECT erasures.room, erasures.seq
        FROM jsonb_to_recordset(CAST(:places AS jsonb)) AS place (room text, first bigint, last bigint)
        JOIN erasures ON erasures.room = place.room AND erasures.seq >= place.first AND erasures.seq < place.last"""
    ),
)
INDEXES: dict[str, Index] = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
