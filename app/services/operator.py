"""What the operator does on the command line: accounts, workrooms, tokens.

Rule 1: each command is a row of COMMANDS; it runs inside the server, through its private socket, or without one.
Rule 2: a command returns lines to print; the last word of the last line is its result, for scripts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec

from app.domain.blocks import ReportState, ReportStep
from app.domain.bodies.fields import NOTE_CHARS_MAX
from app.domain.errors import Malformed, NotFound
from app.domain.timerange import instant_text
from app.domain.workrooms import Side
from app.services import accounts, blocks, invitations, recovery, second_factor, workrooms
from app.services.access import Actor, room_info
from app.services.checkpoints import accept_rewound_room
from app.services.resources import Resources

NOBODY = "-"  # in place of an address: this side is invited later


class CreateAccount(msgspec.Struct, frozen=True):
    """Make an account; prints a one-time sign-in link."""

    email: str
    name: str
    operator: bool = False


class OfAccount(msgspec.Struct, frozen=True):
    """A command about one account."""

    email: str
    label: str = ""


class CreateRoom(msgspec.Struct, frozen=True):
    """Open a workroom between two accounts."""

    client: str
    freelancer: str
    title: str
    zone: str = "UTC"
    work_view: bool = True


class Invite(msgspec.Struct, frozen=True):
    """Invite somebody to the side of a workroom that is free."""

    room: str


class Rewound(msgspec.Struct, frozen=True):
    """Accept that a workroom lost entries."""

    room: str
    reason: Annotated[str, msgspec.Meta(max_length=NOTE_CHARS_MAX)]


async def create_account(resources: Resources, wanted: CreateAccount) -> list[str]:
    """Make an account without a password, and a link to enter it."""
    actor = await accounts.create_account(resources, wanted.email, wanted.name, operator=wanted.operator)
    link = await accounts.new_link(resources, actor)
    return [f"{actor.name} <{actor.email}> has an account. This link signs in once, within 24 hours:", link]


async def link_account(resources: Resources, wanted: OfAccount) -> list[str]:
    """Make one more sign-in link; nothing else of the account changes."""
    actor = await accounts.account_of_email(resources, wanted.email)
    return ["This link signs in once, within 24 hours:", await accounts.new_link(resources, actor)]


async def reset_account(resources: Resources, wanted: OfAccount) -> list[str]:
    """Take password, sessions, tokens, trackers and older links away; make a new link."""
    link = await recovery.reset_account(resources, wanted.email)
    return [
        "Password, sessions, tokens, trackers and older links of this account are gone; its owner was told by mail.",
        "This link signs in once, within 24 hours:",
        link,
    ]


async def remove_second_factor(resources: Resources, wanted: OfAccount) -> list[str]:
    """Take a lost second factor away; the owner signs in with the password, or a link, and sets up another."""
    actor = await second_factor.remove_lost(resources, wanted.email)
    return [f"The second factor is gone, all sessions ended, and the owner was told by mail: {actor.email}"]


async def create_room(resources: Resources, wanted: CreateRoom) -> list[str]:
    """Open a workroom; its id is the result."""
    client = await _account_or_nobody(resources, wanted.client)
    freelancer = await _account_or_nobody(resources, wanted.freelancer)
    if client is None and freelancer is None:
        raise Malformed("A workroom begins with a client or a freelancer.", field="client")
    if client == freelancer:
        raise Malformed("Client and freelancer must be two accounts.", field="freelancer")
    room = await workrooms.open_room(
        resources, client, freelancer, wanted.title, time_zone=wanted.zone, work_view=wanted.work_view
    )
    return [f"The workroom is open at {resources.settings.base_url}/rooms/{room} and its id is:", room]


async def invite(resources: Resources, wanted: Invite) -> list[str]:
    """Make an invitation to the side of a workroom that has nobody, in the name of the one who is there."""
    info = await room_info(resources, wanted.room)
    host = next(iter(info.members.values()), None)
    if host is None:
        raise NotFound("This workroom has no members, so nobody can invite into it.")
    side = Side.FREELANCER if host.side is Side.CLIENT else Side.CLIENT
    link = await invitations.invite(resources, Actor(host.account, host.name, ""), info.id, side)
    return [f"This invites the {side} into “{info.title}”, once, within 14 days:", link]


async def rewound(resources: Resources, wanted: Rewound) -> list[str]:
    """Let a workroom that lost entries accept new ones; the seq of the entry that says so is the result."""
    if not wanted.reason.strip():
        raise Malformed("Say why entries are missing: it stands in the record.", field="reason")
    entry = await accept_rewound_room(resources, wanted.room, wanted.reason)
    body = entry.body or {}
    return [
        f"A checkpoint of {body['signed_size']} entries was signed, and {body['held_size']} are left. "
        "The workroom accepts entries again; its record says so in entry:",
        str(entry.seq),
    ]


async def new_token(resources: Resources, wanted: OfAccount) -> list[str]:
    """Make a bearer token for `/ws` and `/api`."""
    actor = await accounts.account_of_email(resources, wanted.email)
    return [await accounts.new_token(resources, actor, "api", wanted.label or "command line")]


async def new_device(resources: Resources, wanted: OfAccount) -> list[str]:
    """Make a device token for `/agent`."""
    actor = await accounts.account_of_email(resources, wanted.email)
    return [await accounts.new_token(resources, actor, "device", wanted.label or "command line")]


class ListReports(msgspec.Struct, frozen=True):
    """List the reports that wait, or all."""

    all: bool = False


class AnswerReport(msgspec.Struct, frozen=True):
    """Answer a report; `answer` is what its author reads."""

    report: str
    answer: str = ""


async def list_reports(resources: Resources, wanted: ListReports) -> list[str]:
    """Print reports, each with what it is about; the id is what `dismiss` and `hide` take."""
    shown = await blocks.open_reports(resources, None if wanted.all else ReportState.OPEN)
    if not shown:
        return ["No report waits."] if not wanted.all else ["Nothing was ever reported."]
    lines = []
    for each in shown:
        row = each.row.report
        title = each.about.title if each.about is not None else "gone"
        told = " ".join(row.text.split())
        lines.append(f"{instant_text(row.sent_at)} {row.state} {row.reason}: {row.subject} “{title}”")
        lines.append(f"  of {each.row.account_name} <{each.row.account_email}>, by {each.row.reporter_name}: {told}")
        lines.append(f"  {row.id}")
    return lines


async def dismiss_report(resources: Resources, wanted: AnswerReport) -> list[str]:
    """Dismiss a report; what was hidden because of it is shown again."""
    found = await blocks.answer_report(resources, None, wanted.report, ReportStep.DISMISS, wanted.answer)
    return [f"The report is dismissed. Its {found.subject} is as it was: {found.subject_id}"]


async def hide_reported(resources: Resources, wanted: AnswerReport) -> list[str]:
    """Hide the job, proposal or invitation that a report is about; its author reads why."""
    found = await blocks.answer_report(resources, None, wanted.report, ReportStep.HIDE, wanted.answer)
    return [f"Nobody but its author sees this {found.subject} any more: {found.subject_id}"]


Command = Callable[[Resources, Any], Awaitable[list[str]]]

COMMANDS: dict[str, tuple[type[msgspec.Struct], Command]] = {
    "account create": (CreateAccount, create_account),
    "account link": (OfAccount, link_account),
    "account reset": (OfAccount, reset_account),
    "account second-factor": (OfAccount, remove_second_factor),
    "room create": (CreateRoom, create_room),
    "room invite": (Invite, invite),
    "room rewound": (Rewound, rewound),
    "report list": (ListReports, list_reports),
    "report dismiss": (AnswerReport, dismiss_report),
    "report hide": (AnswerReport, hide_reported),
    "token": (OfAccount, new_token),
    "device": (OfAccount, new_device),
}


async def run(resources: Resources, command: str, arguments: dict[str, Any]) -> list[str]:
    """Run a command by name and return what it prints.

    Raises:
        Malformed: if there is no such command, or it takes other arguments.
        WorkroomError: what the command itself refuses.
    """
    if command not in COMMANDS:
        raise Malformed(f"There is no command `{command}`. The server may be of another version.")
    schema, work = COMMANDS[command]
    try:
        wanted = msgspec.convert(arguments, schema)
    except msgspec.ValidationError as error:
        raise Malformed(f"{error}.") from None
    return await work(resources, wanted)


async def _account_or_nobody(resources: Resources, email: str) -> str | None:
    if email == NOBODY:
        return None
    return (await accounts.account_of_email(resources, email)).account
