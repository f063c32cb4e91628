"""Guards against change: triggers by which the database itself refuses to edit the record (docs/record.md).

Rule 1: `entries` accepts INSERT only, on both databases.
Rule 2: on SQLite an INSERT must carry the next seq, since INSERT OR REPLACE walks past the other triggers; on
PostgreSQL the primary key is the backstop.
"""

from __future__ import annotations

_REFUSED = "the record is append-only"

SQLITE_GUARDS = (
    f"""CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END""",
    f"""CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
        BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END""",
    f"""CREATE TRIGGER entries_next_seq BEFORE INSERT ON entries
        WHEN new.seq IS NOT coalesce((SELECT max(seq) + 1 FROM entries WHERE room = new.room), 0)
        BEGIN SELECT RAISE(ABORT, '{_REFUSED}: this is not the next seq'); END""",
)

POSTGRESQL_GUARDS = (
    f"""CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$""",
    """CREATE TRIGGER entries_no_change BEFORE UPDATE OR DELETE ON entries
        FOR EACH ROW EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON entries
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
)

GUARDS: dict[str, tuple[str, ...]] = {"sqlite": SQLITE_GUARDS, "postgresql": POSTGRESQL_GUARDS}
