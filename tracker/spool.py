"""The spool: everything the tracker must not lose, in one SQLite file of the home folder.

Rule 1: what is to be sent is durable here first (synchronous=FULL) and stays until the server has acknowledged it.
Rule 2: control messages carry a counter `n` that is never used twice; frames carry a UUID. Repeats change nothing.
Rule 3: a picture stays until the server says that it could be read (rule 2.6); what was refused stays with its reason
until it is dismissed, 30 days at most.
Rule 4: one process opens the spool at a time; the caller holds the lock of the home folder.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from app.domain.timerange import DAY_MS, Stretch, day_of_segment, instant_text, subtract, total_ms, utc_day
from app.domain.workview import SEED_BYTES
from tracker.clock import Pace

KEPT_MS = 30 * DAY_MS  # refusals, and pictures that the server never confirmed (rule 2.6)
CACHE_KIB = 512  # the default of 2 MiB is more than a queue of small rows needs
WAITING_LISTED_MAX = 50  # segments in a tick; an offline week would not fit into a message

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rooms (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, time_zone TEXT NOT NULL, work_view INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seeds (
    room TEXT NOT NULL, day TEXT NOT NULL, seed BLOB NOT NULL, from_server INTEGER NOT NULL,
    PRIMARY KEY (room, day)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, room TEXT NOT NULL, began_at INTEGER NOT NULL, ended_at INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stretches (
    id INTEGER PRIMARY KEY, session TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    class TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS stretches_of_session ON stretches (session, start);
CREATE TABLE IF NOT EXISTS messages (
    n INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, t TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS frames (
    id TEXT PRIMARY KEY, session TEXT NOT NULL, room TEXT NOT NULL, segment INTEGER NOT NULL,
    taken_at INTEGER NOT NULL, header BLOB NOT NULL, picture BLOB, due_at INTEGER NOT NULL,
    state TEXT NOT NULL, at_stop INTEGER NOT NULL, real_at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS frames_by_state ON frames (state, taken_at);
CREATE INDEX IF NOT EXISTS frames_by_time ON frames (taken_at);
CREATE INDEX IF NOT EXISTS frames_of_segment ON frames (room, segment);
CREATE TABLE IF NOT EXISTS refusals (
    key TEXT PRIMARY KEY, session TEXT NOT NULL, what TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL,
    payload BLOB, real_at INTEGER NOT NULL) WITHOUT ROWID;
"""


class FrameState(StrEnum):
    """WAITING: held, or not acknowledged. STORED: acknowledged, not yet decoded. CONFIRMED: picture dropped here."""

    WAITING = "waiting"
    STORED = "stored"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    DROPPED = "dropped"


class Room(msgspec.Struct, frozen=True):
    id: str
    title: str
    time_zone: str = "UTC"
    work_view: bool = True


class Refusal(msgspec.Struct, frozen=True):
    """What the server refused for good. `key` is the frame's id, or `n` and a number for a control message."""

    key: str
    what: str
    code: str
    reason: str
    real_at: int


class Frame(msgspec.Struct, frozen=True):
    id: str
    session: str
    room: str
    segment: int
    taken_at: int
    due_at: int
    state: str
    at_stop: bool


class LastSession(msgspec.Struct, frozen=True):
    id: str
    room: str
    began_at: int
    ended_at: int | None
    ticked_to: int


_FRAME = "id, session, room, segment, taken_at, due_at, state, at_stop"


class Spool:
    """The open file. All instants are Unix milliseconds: `real_at` of the machine's clock, the others the record's."""

    def __init__(self, path: Path) -> None:
        fresh = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.close(fresh)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=True)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", f"cache_size=-{CACHE_KIB}"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # What the server told

    def meta(self, key: str) -> str | None:
        """Return a remembered value."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, key: str, value: str) -> None:
        """Remember a value under a key, in place of an earlier one."""
        self._db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                         (key, value))  # fmt: skip

    def store_pace(self, server: str, pace: Pace | None) -> None:
        """Keep how a server's clock runs, so that a session can start offline; None is the real clock."""
        self.remember(f"pace {server}", msgspec.json.encode(pace).decode())

    def knows_pace(self, server: str) -> bool:
        """Whether that server ever said how its clock runs."""
        return self.meta(f"pace {server}") is not None

    def pace(self, server: str) -> Pace | None:
        """Return how a server's clock runs; None if it is the real clock, or not known."""
        return msgspec.json.decode(self.meta(f"pace {server}") or "null", type=Pace | None)

    def store_welcome(self, rooms: Iterable[Room], seeds: dict[str, dict[str, bytes]], now: int) -> None:
        """Keep the rooms and the seeds of the days to come, so that a session can start offline."""
        with self._transaction() as db:
            db.execute("DELETE FROM rooms")
            db.executemany("INSERT OR REPLACE INTO rooms VALUES (?, ?, ?, ?)",
                           [(r.id, r.title, r.time_zone, r.work_view) for r in rooms])  # fmt: skip
            db.executemany(
                "INSERT OR REPLACE INTO seeds VALUES (?, ?, ?, 1)",
                [(room, day, seed) for room, days in seeds.items() for day, seed in days.items()],
            )
            db.execute("DELETE FROM seeds WHERE day < ?", (utc_day(now - 2 * DAY_MS),))

    def rooms(self) -> list[Room]:
        """Return the workrooms in which this account tracks time."""
        found = self._db.execute("SELECT id, title, time_zone, work_view FROM rooms ORDER BY title, id")
        return [Room(row[0], row[1], row[2], bool(row[3])) for row in found]

    def seed(self, room: str, day: str) -> bytes:
        """Return the seed of a UTC day; one of our own if the server gave none, and then the frame will be marked."""
        row = self._db.execute("SELECT seed FROM seeds WHERE room = ? AND day = ?", (room, day)).fetchone()
        if row is not None:
            return bytes(row[0])
        own = os.urandom(SEED_BYTES)
        self._db.execute("INSERT INTO seeds VALUES (?, ?, ?, 0)", (room, day, own))
        return own

    def has_server_seed(self, room: str, segment: int) -> bool:
        """Whether the moment of a segment will be confirmed by the server's seed."""
        query = "SELECT 1 FROM seeds WHERE room = ? AND day = ? AND from_server"
        return self._db.execute(query, (room, day_of_segment(segment))).fetchone() is not None

    # Sessions and their messages

    def _enqueue(self, db: sqlite3.Connection, session: str, message: dict[str, Any]) -> int:
        payload = msgspec.json.encode(message)
        cursor = db.execute("INSERT INTO messages (session, t, payload) VALUES (?, ?, ?)",
                            (session, message["t"], payload))  # fmt: skip
        return int(cursor.lastrowid or 0)

    def enqueue(self, session: str, message: dict[str, Any]) -> int:
        """Store a control message to be sent; return its `n`."""
        with self._transaction() as db:
            return self._enqueue(db, session, message)

    def begin(self, session: str, room: str, at: int, comment: str, work_view: bool) -> None:
        """Store a session and its `start`."""
        message = {"t": "start", "session": session, "room": room, "at": instant_text(at),
                   "comment": comment, "work_view": work_view}  # fmt: skip
        with self._transaction() as db:
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, NULL)", (session, room, at))
            self._enqueue(db, session, message)

    def tick(self, session: str, start: int, end: int, documented: bool, waiting: list[int]) -> None:
        """Store a tick."""
        message = {"t": "tick", "session": session, "from": instant_text(start), "to": instant_text(end),
                   "documented": documented, "waiting": waiting}  # fmt: skip
        with self._transaction() as db:
            self._enqueue(db, session, message)
            self._add_stretch(db, session, start, end, "documented" if documented else "tracked")

    def _add_stretch(self, db: sqlite3.Connection, session: str, start: int, end: int, kind: str) -> None:
        """Lengthen the session's last stretch if this one follows it, so that a week is a few rows."""
        last = db.execute('SELECT id, "end", class FROM stretches WHERE session = ? ORDER BY id DESC LIMIT 1',
                          (session,)).fetchone()  # fmt: skip
        if last is not None and last[1] == start and last[2] == kind:
            db.execute('UPDATE stretches SET "end" = ? WHERE id = ?', (end, last[0]))
        else:
            db.execute('INSERT INTO stretches (session, start, "end", class) VALUES (?, ?, ?, ?)',
                       (session, start, end, kind))  # fmt: skip

    def discard(self, session: str, start: int, end: int) -> None:
        """Take a stretch off the freelancer's own time (rule 2.5)."""
        message = {"t": "discard", "session": session, "from": instant_text(start), "to": instant_text(end)}
        with self._transaction() as db:
            self._enqueue(db, session, message)
            self._add_stretch(db, session, start, end, "discarded")

    def end(self, session: str, at: int, tell: bool = True) -> None:
        """Store the end of a session; `tell` is False where the server ended it."""
        with self._transaction() as db:
            db.execute("UPDATE sessions SET ended_at = ? WHERE id = ? AND ended_at IS NULL", (at, session))
            if tell:
                self._enqueue(db, session, {"t": "stop", "session": session, "at": instant_text(at)})

    def close_unended(self) -> list[LastSession]:
        """End every session that a crash left open, at its last durable tick; return them."""
        query = "SELECT id FROM sessions WHERE ended_at IS NULL ORDER BY began_at"
        closed = [self.session(row[0]) for row in self._db.execute(query).fetchall()]
        for session in closed:
            self.end(session.id, session.ticked_to)
        return closed

    def session(self, id: str) -> LastSession:
        """Return a session.

        Raises:
            KeyError: if there is none with this id.
        """
        row = self._db.execute(
            "SELECT id, room, began_at, ended_at, (SELECT max(\"end\") FROM stretches "
            "WHERE session = sessions.id AND class <> 'discarded') FROM sessions WHERE id = ?", (id,)
        ).fetchone()  # fmt: skip
        if row is None:
            raise KeyError(id)
        return LastSession(row[0], row[1], row[2], row[3], row[4] if row[4] is not None else row[2])

    def last_session(self) -> LastSession | None:
        """Return the session that began last."""
        row = self._db.execute("SELECT id FROM sessions ORDER BY began_at DESC LIMIT 1").fetchone()
        return None if row is None else self.session(row[0])

    def time_between(self, start: int, end: int, room: str | None = None) -> int:
        """Return the milliseconds of time in `[start, end)`, of one room or all, less what was discarded."""
        counted: list[Stretch] = []
        discarded: list[Stretch] = []
        found = self._db.execute(
            'SELECT s.start, s."end", s.class FROM stretches s JOIN sessions ON sessions.id = s.session '
            'WHERE s."end" > ? AND s.start < ? AND (? IS NULL OR sessions.room = ?)', (start, end, room, room)
        )  # fmt: skip
        for first, last, kind in found:
            (discarded if kind == "discarded" else counted).append((max(first, start), min(last, end)))
        return total_ms(subtract(counted, discarded))

    def messages_after(self, n: int, limit: int) -> list[tuple[int, str, bytes]]:
        """Return `(n, t, JSON with its n)` of what is not acknowledged, in order."""
        found = self._db.execute("SELECT n, t, payload FROM messages WHERE n > ? ORDER BY n LIMIT ?", (n, limit))
        # The number is known only once the row exists, so it is put into the text on its way out.
        return [(row[0], row[1], b'{"n":%d,%b' % (row[0], bytes(row[2])[1:])) for row in found]

    def acknowledge(self, ns: Iterable[int]) -> None:
        """Forget messages that the server has made durable."""
        with self._transaction() as db:
            db.executemany("DELETE FROM messages WHERE n = ?", [(n,) for n in ns])

    def acknowledge_start(self, session: str) -> None:
        """Forget the `start` of a session that the server has started."""
        self._db.execute("DELETE FROM messages WHERE session = ? AND t = 'start'", (session,))

    def start_number(self, session: str) -> int | None:
        """Return the `n` of a session's `start`, if it is not acknowledged."""
        row = self._db.execute("SELECT n FROM messages WHERE session = ? AND t = 'start'", (session,)).fetchone()
        return None if row is None else int(row[0])

    def start_is_queued_for(self, key: int | str) -> bool:
        """Whether the `start` of the session of a message (by `n`) or a frame (by id) is not acknowledged yet."""
        table, column = ("messages", "n") if isinstance(key, int) else ("frames", "id")
        query = (
            f"SELECT 1 FROM {table} AS this JOIN messages AS begun ON begun.session = this.session "
            f"AND begun.t = 'start' WHERE this.{column} = ? AND this.{column} <> begun.n"
        )
        return self._db.execute(query, (key,)).fetchone() is not None

    def refuse_message(self, n: int, code: str, reason: str, real_at: int) -> tuple[str, str] | None:
        """Move a message to the refusals; return its session and type, or None if it is not here."""
        with self._transaction() as db:
            row = db.execute("SELECT session, t, payload FROM messages WHERE n = ?", (n,)).fetchone()
            if row is None:
                return None
            db.execute("DELETE FROM messages WHERE n = ?", (n,))
            db.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?, ?, ?)",
                       (f"n{n}", row[0], row[1], code, reason, row[2], real_at))  # fmt: skip
        return str(row[0]), str(row[1])

    def queued_messages(self) -> int:
        """Return how many control messages are not acknowledged."""
        return int(self._db.execute("SELECT count(*) FROM messages").fetchone()[0])

    # Frames

    def add_frame(self, frame: Frame, header: bytes, picture: bytes, real_at: int) -> None:
        """Store a frame to be sent at `due_at`; a provisional one of its segment that is still here gives way."""
        with self._transaction() as db:
            db.execute(
                "UPDATE frames SET state = ?, picture = NULL WHERE room = ? AND segment = ? AND at_stop AND state = ?",
                (FrameState.DROPPED, frame.room, frame.segment, FrameState.WAITING),
            )
            db.execute("INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                       (frame.id, frame.session, frame.room, frame.segment, frame.taken_at, header, picture,
                        frame.due_at, frame.state, frame.at_stop, real_at))  # fmt: skip

    def _frames(self, where: str, *values: Any) -> list[Frame]:
        found = self._db.execute(f"SELECT {_FRAME} FROM frames WHERE {where}", values)
        return [msgspec.convert(dict(zip(_FRAME.split(", "), row, strict=True)), Frame, strict=False) for row in found]

    def frame(self, id: str) -> Frame | None:
        """Return a frame."""
        return next(iter(self._frames("id = ?", id)), None)

    def waiting_frames(self) -> list[Frame]:
        """Return the frames that are held or not acknowledged, oldest first."""
        return self._frames("state = ? ORDER BY taken_at", FrameState.WAITING)

    def unconfirmed_frames(self) -> list[Frame]:
        """Return the frames that are acknowledged and not confirmed, oldest first."""
        return self._frames("state = ? ORDER BY taken_at", FrameState.STORED)

    def last_frame(self) -> Frame | None:
        """Return the frame that was taken last and still counts."""
        return next(iter(self._frames("state <> ? ORDER BY taken_at DESC LIMIT 1", FrameState.DROPPED)), None)

    def waiting_segments(self) -> list[int]:
        """Return the segments whose frame waits here, the latest ones if there are many."""
        query = "SELECT DISTINCT segment FROM frames WHERE state = ? ORDER BY segment DESC LIMIT ?"
        return sorted(row[0] for row in self._db.execute(query, (FrameState.WAITING, WAITING_LISTED_MAX)))

    def framed_segments(self, room: str, from_segment: int) -> dict[int, bool]:
        """Return the segments from `from_segment` on that have a frame, and whether it is final."""
        framed: dict[int, bool] = {}
        for frame in self._frames("room = ? AND segment >= ? AND state <> ?", room, from_segment, FrameState.DROPPED):
            framed[frame.segment] = framed.get(frame.segment, False) or not frame.at_stop
        return framed

    def frame_message(self, id: str) -> bytes | None:
        """Return the binary message of a frame, or None if its picture is gone."""
        row = self._db.execute("SELECT header, picture FROM frames WHERE id = ?", (id,)).fetchone()
        if row is None or row[1] is None:
            return None
        return len(row[0]).to_bytes(4, "big") + bytes(row[0]) + bytes(row[1])

    def frame_stored(self, id: str) -> None:
        """The server has the frame; the picture stays here until it is confirmed."""
        self._db.execute("UPDATE frames SET state = ? WHERE id = ? AND state = ?",
                         (FrameState.STORED, id, FrameState.WAITING))  # fmt: skip

    def frame_confirmed(self, id: str) -> None:
        """The server could read the picture: it is dropped here."""
        self._db.execute("UPDATE frames SET state = ?, picture = NULL WHERE id = ? AND state IN (?, ?)",
                         (FrameState.CONFIRMED, id, FrameState.WAITING, FrameState.STORED))  # fmt: skip

    def drop_frame(self, id: str) -> None:
        """Destroy a picture: it was discarded here, or deleted on the server."""
        self._db.execute("UPDATE frames SET state = ?, picture = NULL WHERE id = ?", (FrameState.DROPPED, id))

    def refuse_frame(self, id: str, code: str, reason: str, real_at: int) -> None:
        """Keep a frame that the server refused, with the reason."""
        with self._transaction() as db:
            changed = db.execute("UPDATE frames SET state = ? WHERE id = ? AND state <> ?",
                                 (FrameState.REFUSED, id, FrameState.DROPPED))  # fmt: skip
            if changed.rowcount:
                db.execute("INSERT OR REPLACE INTO refusals SELECT id, session, 'frame', ?, ?, NULL, ? "
                           "FROM frames WHERE id = ?", (code, reason, real_at, id))  # fmt: skip

    # Refusals

    def refusals(self) -> list[Refusal]:
        """Return what was refused and not dismissed, oldest first."""
        found = self._db.execute("SELECT key, what, code, reason, real_at FROM refusals ORDER BY real_at, key")
        return [Refusal(*row) for row in found]

    def dismiss(self, key: str | None = None) -> int:
        """Remove one refusal, or all; return how many."""
        with self._transaction() as db:
            db.execute("UPDATE frames SET state = ?, picture = NULL WHERE id IN "
                       "(SELECT key FROM refusals WHERE ? IS NULL OR key = ?)",
                       (FrameState.DROPPED, key, key))  # fmt: skip
            return db.execute("DELETE FROM refusals WHERE ? IS NULL OR key = ?", (key, key)).rowcount

    def forget_old(self, now: int, real_now: int) -> None:
        """Remove what has been kept long enough."""
        old = real_now - KEPT_MS
        with self._transaction() as db:
            db.execute("DELETE FROM refusals WHERE real_at < ?", (old,))
            db.execute("DELETE FROM frames WHERE real_at < ? AND state <> ?", (old, FrameState.WAITING))
            db.execute("DELETE FROM sessions WHERE ended_at < ? AND id NOT IN (SELECT session FROM messages) "
                       "AND id NOT IN (SELECT session FROM frames)", (now - KEPT_MS,))  # fmt: skip
            db.execute("DELETE FROM stretches WHERE session NOT IN (SELECT id FROM sessions)")
