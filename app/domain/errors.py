"""Errors: everything that can be refused, each with a permanent code and a sentence that says what to do.

Rule 1: `code` never changes once released; clients and trackers act on it.
Rule 2: `temporary` says whether the same request can succeed later without being changed.
Rule 3: exceptions carry data; `__str__` makes the sentence. HTTP and socket map them once each.
"""

from __future__ import annotations

from typing import ClassVar


class WorkroomError(Exception):
    """Base of all refusals. `field` names the part of the request that is wrong, where one is."""

    code: ClassVar[str] = "internal"
    temporary: ClassVar[bool] = False
    sentence: ClassVar[str] = "Something went wrong here. It was logged; please try again."

    def __init__(self, sentence: str | None = None, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field
        self._sentence = sentence

    def __str__(self) -> str:
        return self._sentence or self.sentence


class Malformed(WorkroomError):
    """A message or body that does not fit its schema; `field` says where."""

    code = "malformed"
    sentence = "This message does not have the expected form."


class InvalidBody(Malformed):
    """An entry whose body does not fit its kind."""

    code = "invalid_body"


class UnknownKind(WorkroomError):
    code = "unknown_kind"
    sentence = "There is no entry of this kind. Check the spelling of `kind`."


class TooLarge(WorkroomError):
    code = "too_large"
    sentence = "This is too large. A message may have 64 KiB in all and 32 KiB of text; shorten it."


class Conflict(WorkroomError):
    """The same idempotency id with other contents."""

    code = "conflict"
    sentence = "This id was used before with other contents. Send it under a new id."


class OffsetMismatch(Conflict):
    """A piece of an upload that does not begin where what has arrived ends: at `received`."""

    code = "offset_mismatch"

    def __init__(self, received: int = 0) -> None:
        super().__init__(field="upload-offset")
        self.received = received

    def __str__(self) -> str:
        return f"{self.received} bytes of this upload have arrived. Go on there."


class NotFound(WorkroomError):
    """No such thing, or not for this actor: the two look alike on purpose."""

    code = "not_found"
    sentence = "There is nothing here that you may see. Check the address, or ask for an invitation."


class MethodNotAllowed(WorkroomError):
    """The address is right, the HTTP method is not."""

    code = "method_not_allowed"
    sentence = "This address does not take requests of this method. The header `allow` names those that it takes."


class Forbidden(WorkroomError):
    code = "forbidden"
    sentence = "Your role in this workroom does not allow this."


class NotSignedIn(WorkroomError):
    code = "sign_in"
    sentence = "Sign in first."


class SecondFactorRequired(NotSignedIn):
    """An operator without a second factor: only the page that sets one up is open. `credential` is the session's."""

    code = "second_factor_required"
    sentence = "An operator signs in with a second factor. Set it up first, in the settings."

    def __init__(self, credential: object = None) -> None:
        super().__init__()
        self.credential = credential


class WrongCode(WorkroomError):
    """A code of the second factor that is wrong, too old, or was used before."""

    code = "wrong_code"
    sentence = "This code is wrong, too old, or was used before. Type the one that your app shows now."


class AddressUnconfirmed(WorkroomError):
    """Only an account whose address is known to be its owner's may do this."""

    code = "address_unconfirmed"
    sentence = (
        "Confirm your e-mail address first: the settings mail you the link. Until then you can use the workroom that "
        "you were invited to, and no more."
    )


class SignUpClosed(WorkroomError):
    code = "sign_up_closed"
    sentence = "This server takes no new accounts by itself. Ask its operator, or a client, for an invitation."


class StillActive(WorkroomError):
    """An account that still has work: `rooms` are the titles of its active workrooms."""

    code = "still_active"
    sentence = "Close your active workrooms first."


class WrongPassword(WorkroomError):
    code = "wrong_password"
    sentence = "E-mail address or password is wrong. Try again, or set a new password by mail."


class LinkSpent(WorkroomError):
    code = "link_spent"
    sentence = "This link was used before or is too old. Ask for a new one."


class AccountExists(WorkroomError):
    code = "account_exists"
    sentence = "There is an account with this e-mail address already. Sign in with it."


class RoomClosed(WorkroomError):
    code = "room_closed"
    sentence = "This workroom is closed. It can be read, but nothing can be added."


class AlreadyAnswered(WorkroomError):
    """A matter that was answered before, or taken back: exactly one answer counts."""

    code = "already_answered"

    def __init__(self, state: str = "answered", answered_by: str | None = None, answer_seq: int | None = None) -> None:
        super().__init__(field="ref")
        self.state = state
        self.answered_by = answered_by
        self.answer_seq = answer_seq

    def __str__(self) -> str:
        said = self.state.replace("_", " ")
        return f"This was {said} already, by entry {self.answer_seq}. Your answer was not written; see how it stands."


class OthersToAnswer(WorkroomError):
    """Nobody answers their own side's proposal; nobody takes back the other side's."""

    code = "others_to_answer"
    sentence = "This is not for you to answer: the other side does, and only its own side takes a proposal back."


class TooMany(WorkroomError):
    """A rate or a count is over its limit; `retry_after_seconds` says when it is worth trying again."""

    code = "too_many"
    temporary = True
    sentence = "That was too much at once. Wait a moment and try again."

    def __init__(self, sentence: str | None = None, *, field: str | None = None, retry_after_seconds: int = 1) -> None:
        super().__init__(sentence, field=field)
        self.retry_after_seconds = retry_after_seconds


class Busy(WorkroomError):
    """A queue is full; nothing was written."""

    code = "busy"
    temporary = True
    sentence = "The server is busy. Nothing was written; try again in a moment."


class Unavailable(WorkroomError):
    """Disk full, database away: nothing was written."""

    code = "temporary"
    temporary = True
    sentence = "The server cannot store anything at the moment. Nothing was written; try again."


class RecordRewound(WorkroomError):
    """The database holds less than this server has signed (a restored backup), see docs/record.md."""

    code = "record_rewound"
    sentence = (
        "This workroom's record is shorter than what was signed before, so it accepts nothing. "
        "The operator must run `python -m app room rewound` and say why."
    )


class ProofError(WorkroomError):
    code = "proof"
    sentence = "This proof does not hold."


# Answers to a tracker that is being paired; the codes are those of RFC 8628, section 3.5.


class PairingPending(WorkroomError):
    """The person has not confirmed yet: ask again after the interval."""

    code = "authorization_pending"
    temporary = True
    sentence = "The code was not confirmed yet. Ask again in a moment."


class PairingDenied(WorkroomError):
    """The person said no."""

    code = "access_denied"
    sentence = "The pairing was declined in the browser."


class PairingExpired(WorkroomError):
    """Too old, used already, or never was."""

    code = "expired_token"
    sentence = "This pairing is over. Start a new one."


# Refusals of the tracker path; the codes are the ones of docs/protocol.md.


class BadImage(WorkroomError):
    code = "bad_image"
    sentence = "This is no picture that can be stored: one PNG, JPEG or WebP image is expected."


class DigestMismatch(WorkroomError):
    code = "digest_mismatch"
    sentence = "The picture's bytes do not have the digest that was announced."


class OutsideSegment(WorkroomError):
    code = "outside_segment"
    sentence = "The moment of this frame does not lie in the segment that it names."


class OutsideSession(WorkroomError):
    code = "outside_session"
    sentence = "This lies outside the session that it names."


class SegmentTaken(WorkroomError):
    code = "segment_taken"
    sentence = "This segment has its frame already."


class SegmentDeleted(WorkroomError):
    code = "segment_deleted"
    sentence = "The frame of this segment was deleted, and its time with it."


class ClockSkew(WorkroomError):
    code = "clock_skew"
    sentence = "This lies more than two minutes in the future. Set the clock of this computer."


class NotMember(WorkroomError):
    code = "not_member"
    sentence = "This account does not track time in that workroom."


class UnknownSession(WorkroomError):
    code = "unknown_session"
    sentence = "There is no such session on this account. Start it first."
