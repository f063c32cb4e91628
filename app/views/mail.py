"""Mails as text and as HTML, in the one frame that all of them have (templates/email/).

Rule 1: a mail that brings its own HTML is left as it is.
Rule 2: both forms say the same, and the address behind the button can be read in both.
"""

from __future__ import annotations

from app.config import Settings
from app.services.mail import Compose
from app.storage.mail import MailRow
from app.views.rendering import ENVIRONMENT

_TEXT = ENVIRONMENT.get_template("email/letter.txt")
_HTML = ENVIRONMENT.get_template("email/letter.html")


def composer(settings: Settings) -> Compose:
    """Return what makes the two forms of a mail on this server."""

    def compose(row: MailRow) -> tuple[str, str]:
        if row.html is not None:
            return row.text, row.html
        context = {
            "subject": row.subject,
            "paragraphs": [part.split("\n") for part in row.text.strip().split("\n\n") if part.strip()],
            "button": row.button.split("\n", 1) if row.button else None,
            "footer": (row.footer or "").splitlines(),
            "unsubscribe": row.unsubscribe,
            "operator": settings.operator,
            "base_url": settings.base_url,
        }
        return _TEXT.render(context), _HTML.render(context)

    return compose
