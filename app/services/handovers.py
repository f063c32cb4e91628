"""Handovers: a secret for one member, sealed until it is shown once, then erased (rule 1.10).

Rule 1: the secret is sealed before anything else sees it: records, queues, logs and answers hold the sealed text only.
Rule 2: sealing is deterministic (AES-SIV, RFC 5297), so that a repeat under the same `cid` is the same entry. Room,
    author and `cid` are bound to it: a sealed text copied elsewhere opens nothing.
Rule 3: that it was received and its erasure are one commit, and what was erased is shown after that commit. If the
    answer is lost on its way, nobody has seen it, and it must be handed over again.
Rule 4: each secret has a key of its own besides the server's, in a table small enough that its bytes are destroyed at
    once, where those of contents may stay in a page of the database until it is used again.
"""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import structs

from app.domain.bodies.system import HandoverReceived
from app.domain.errors import InvalidBody, NotFound, Unavailable
from app.domain.events import body_of
from app.domain.matters import Matter
from app.domain.record import Draft, Entry, base64url, base64url_bytes
from app.domain.workrooms import Member
from app.services import matters, notices
from app.services.access import Actor, member_of
from app.services.effects import Writing
from app.services.resources import Resources
from app.storage import handovers as key_rows
from app.storage import matters as matter_rows
from app.storage import record as rows
from app.storage.writer import Tx

SECRET_BYTES_MAX = 8 * 1024  # a private key has 4 KiB at most
KEY_BYTES = 32
PAD_BYTES = 64  # how long a password is, is nobody's business
KIND = "handover"
ERASE_BLOBS = "erase_blobs"  # the worker's task that destroys what erased bodies leave behind


def with_sealed(resources: Resources, member: Member, body: Any, cid: str | None) -> Any:
    """Return the body of a handover with the secret sealed. What is no body at all is left to the schema.

    Raises:
        InvalidBody: naming `body.secret`, or `body.sealed`, which is not for people to send.
    """
    if not isinstance(body, dict):
        return body
    if "sealed" in body:
        raise InvalidBody("Send the secret as `secret`: the server seals it.", field="body.sealed")
    secret = body.get("secret")
    if not isinstance(secret, str) or not secret.strip():
        raise InvalidBody("Write the secret that is to be handed over.", field="body.secret")
    try:
        plain = secret.encode()
    except UnicodeEncodeError:
        raise InvalidBody(
            "The secret holds half a character (a lone surrogate). Remove it.", field="body.secret"
        ) from None
    if len(plain) > SECRET_BYTES_MAX:
        raise InvalidBody(
            "A secret may have 8 KiB. Encrypt what is longer as a file, and hand over its password.",
            field="body.secret",
        )
    padded = plain + b"\x80" + bytes(-(len(plain) + 1) % PAD_BYTES)
    sealed = _cipher(resources, None).encrypt(padded, _bound_to(member.room, member.by, cid))
    return {name: value for name, value in body.items() if name != "secret"} | {"sealed": base64url(sealed)}


async def with_own_key(tx: Tx, resources: Resources, draft: Draft) -> Draft:
    """Return a handover that is about to be appended, its secret sealed with a key of its own (rule 4).

    A repeat is sealed with the key of the first time; if that is gone with the secret, nothing is sealed anew.
    """
    key = None
    if draft.cid is not None:
        key = await key_rows.select_key_of_cid(tx.conn, draft.room, draft.by, draft.cid)
        if key is None and await tx.find(draft) is not None:
            return draft
    if key is None:
        key = resources.random_bytes(KEY_BYTES)
        seq = tx.head(draft.room).size
        await key_rows.insert_key(tx.conn, draft.room, seq, draft.by, draft.cid, key)
    bound_to = _bound_to(draft.room, draft.by, draft.cid)
    padded = _cipher(resources, None).decrypt(base64url_bytes(draft.body["sealed"]), bound_to)
    sealed = base64url(_cipher(resources, key).encrypt(padded, bound_to))
    return structs.replace(draft, body=draft.body | {"sealed": sealed})


def unsealed(resources: Resources, entry: Entry, key: bytes | None) -> str:
    """Return the secret of an entry.

    Raises:
        Unavailable: if this server's key, the secret's own or its place is another than it was sealed with.
    """
    assert entry.body is not None
    try:
        padded = _cipher(resources, key or bytes(KEY_BYTES)).decrypt(
            base64url_bytes(entry.body["sealed"]), _bound_to(entry.room, entry.by, entry.cid)
        )
    except InvalidTag:
        raise Unavailable(
            "This secret was sealed with another key of the server and cannot be opened. Ask for it again."
        ) from None
    return padded.rstrip(b"\0")[:-1].decode()


def _cipher(resources: Resources, key: bytes | None) -> AESSIV:
    """Return the cipher of a secret's own key, for which one needs the server's too; None: before it has one."""
    derive = HKDF(SHA512(), 64, salt=key, info=b"handover" if key is not None else b"handover on its way")
    return AESSIV(derive.derive(resources.signer.derived_key("handover")))


def _bound_to(room: str, by: str, cid: str | None) -> list[bytes]:
    told = b"-" if cid is None else b"+" + cid.encode("utf-8", "surrogatepass")
    return [b"handover", room.encode(), by.encode(), told]


async def on_handover(writing: Writing) -> None:
    """Check whom a secret is for.

    Raises:
        InvalidBody: if that is nobody here, or the sender.
    """
    to = writing.body["to"]
    if to not in writing.info.members or to == writing.entry.by:
        raise InvalidBody("Name another member of this workroom as the receiver.", field="body.to")


async def on_expired(writing: Writing) -> None:
    """Erase a secret at which nobody looked in time."""
    assert writing.entry.ref is not None
    await writing.tx.erase(writing.entry.room, writing.entry.ref, writing.entry.seq)


async def handover(resources: Resources, actor: Actor, room: str, seq: int) -> tuple[Entry, Matter]:
    """Return the entry of a handover and how it stands.

    Raises:
        NotFound: if there is none, or the actor is no member.
    """
    await member_of(resources, actor, room)
    async with resources.database.read() as connection:
        return await _found(connection, room, seq)


async def _found(connection: Any, room: str, seq: int) -> tuple[Entry, Matter]:
    entry = (await rows.select_entries(connection, room, [seq])).get(seq)
    matter = (await matter_rows.select_matters(connection, room, [seq])).get(seq)
    if entry is None or entry.kind != KIND or matter is None:
        raise NotFound("There is no such handover in this workroom.")
    return entry, matter


async def receive(resources: Resources, actor: Actor, room: str, seq: int) -> str:
    """Return the secret, once: that it was received is written, and the secret erased, in one commit before.

    Raises:
        NotFound: if there is no such handover, or the actor is no member.
        OthersToAnswer: if it is for somebody else.
        AlreadyAnswered: if it was shown before, or has expired.
        Unavailable: if the server's key is another one than it was sealed with; then it stays.
    """
    member = await member_of(resources, actor, room)

    async def work(tx: Tx) -> str:
        entry, matter = await _found(tx.conn, room, seq)
        kind, body = body_of(HandoverReceived(matter.title))
        answered = await matters.check_answer(tx, member, kind, seq)
        secret = unsealed(resources, entry, await key_rows.select_key(tx.conn, room, seq))
        received = await tx.append(Draft(room, kind, member.by, body, seq))
        await tx.flush()
        await matters.answer(tx, answered, received)
        await tx.erase(room, seq, received.seq)
        await notices.settle(tx, resources, room, seq)
        return secret

    secret = await resources.database.writer.run(work, rooms=(room,))
    await resources.enqueue(ERASE_BLOBS, f"handover-{room}-{seq}")
    return secret
