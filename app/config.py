"""Settings: one frozen object, read once from WORKROOM_* variables by the roots; all problems are reported together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints
from urllib.parse import urlsplit

_SWITCHES = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


class SettingsError(Exception):
    """The environment holds values that cannot be used. One line each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting with its default; the variable of `rooms_max` is WORKROOM_ROOMS_MAX. See docs/operations.md."""

    host: str = "127.0.0.1"
    port: int = 8000
    data: Path = Path("data")
    url: str = ""  # of the links and for the Origin check; http://host:port where empty
    origin: str = ""  # the name in checkpoints; fixed at first start, the host of `url` where empty
    operator: str = "Workroom operator"
    database_url: str = ""  # SQLite in `data` where empty
    redis_url: str = ""  # an embedded server where empty
    key_file: str = ""  # the signing key; `data`/key where empty
    log_level: str = "info"
    connections_max: int = 50_000  # sockets in all; a file descriptor and about 10 KiB each
    connections_per_account_max: int = 50  # tabs, phones and programs of one person
    connections_per_address_max: int = 200  # an office behind one address
    says_per_second_max: int = 20  # a person types one; a script of theirs a few
    agent_messages_per_second_max: int = 200  # a week offline arrives in minutes
    delivery_days: int = 14  # after which a delivery that nobody answered is accepted
    upload_mib_per_day_max: int = 2048  # by one account in 24 hours: forty files of the largest size
    sign_in_attempts_max: int = 10  # per address and per account in 15 minutes
    open_sign_up: bool = True  # whether strangers may make accounts; invitations always may
    smtp_url: str = ""  # smtp://user:password@host:587 or smtps://…; mails are written to `data`/mail where empty
    mail_from: str = ""  # the sender of mails; the operator at the host of `url` where empty

    @property
    def base_url(self) -> str:
        """Where people reach this server, without a slash at the end."""
        return (self.url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def origin_name(self) -> str:
        """The name that checkpoints carry when none was fixed yet."""
        return self.origin or urlsplit(self.base_url).netloc


def _mail_problems(settings: Settings) -> list[str]:
    problems = []
    if settings.smtp_url:
        try:
            parts = urlsplit(settings.smtp_url)
            usable = parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            problems.append("WORKROOM_SMTP_URL must look like smtp://user:password@host:587 or smtps://host.")
    if settings.mail_from and ("@" not in settings.mail_from or not settings.mail_from.isprintable()):
        problems.append("WORKROOM_MAIL_FROM must be an address, like `Workroom <post@example.org>`.")
    return problems


def read_settings(environment: Mapping[str, str], **overrides: object) -> Settings:
    """Read the settings from WORKROOM_* variables; `overrides` win.

    Raises:
        SettingsError: naming every value that cannot be used.
    """
    values: dict[str, object] = {}
    problems: list[str] = []
    types = get_type_hints(Settings)
    known = {f"WORKROOM_{field.name.upper()}": field.name for field in fields(Settings)}
    for variable, text in environment.items():
        if not variable.startswith("WORKROOM_") or variable.startswith(("WORKROOM_TEST_", "WORKROOM_TRACKER_")):
            continue
        name = known.get(variable)
        if name is None:
            problems.append(f"{variable} is no setting; see docs/operations.md for those there are.")
        elif types[name] is int:
            if text.strip().isdecimal():
                values[name] = int(text)
            else:
                problems.append(f"{variable} must be a whole number, not {text!r}.")
        elif types[name] is bool:
            if text.strip().lower() in _SWITCHES:
                values[name] = _SWITCHES[text.strip().lower()]
            else:
                problems.append(f"{variable} must be on or off, not {text!r}.")
        else:
            values[name] = types[name](text)
    values.update(overrides)
    if not problems:
        settings = Settings(**values)  # type: ignore[arg-type]
        if settings.database_url and not settings.database_url.startswith(("sqlite", "postgresql")):
            problems.append("WORKROOM_DATABASE_URL must begin with sqlite or postgresql.")
        if not 0 <= settings.port <= 65535:
            problems.append("WORKROOM_PORT must lie between 0 and 65535.")
        problems += _mail_problems(settings)
        if not problems:
            return settings
    raise SettingsError("\n".join(problems))
