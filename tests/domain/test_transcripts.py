"""Transcripts: pastes, WhatsApp exports and mails become lines; nothing is cut, and nothing breaks the reader."""

from __future__ import annotations

import time
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.chat_exports import parse_chat
from app.domain.errors import InvalidBody, Malformed, TooLarge
from app.domain.events import checked_body
from app.domain.mail_files import html_text, looks_like_mail, parse_mail
from app.domain.record import BODY_BYTES_MAX, canonical
from app.domain.timerange import DAY_MS
from app.domain.transcripts import (
    TEXT_CHARS_MAX,
    Line,
    Parsed,
    body_of_lines,
    check_lines,
    check_size,
    decoded,
    fitting,
    parts_of,
    question_is_due,
)


def told(parsed: Parsed) -> list[tuple[str, str | None, str]]:
    return [(line.who, line.at, line.text) for line in parsed.lines]


# Pastes


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Ana: hello\nDana: hi\nmore", [("Ana", None, "hello"), ("Dana", None, "hi\nmore")]),
        ("[12:03] Ana: hi\n[12:04] Dana: ho", [("Ana", "12:03", "hi"), ("Dana", "12:04", "ho")]),
        ("12:03 Ana: hi\nNote: that is hers", [("Ana", "12:03", "hi\nNote: that is hers")]),
        (
            "Ana Novak  12:03 PM\nHello there\n12:05\nb\nDana Keller  12:06 PM\nY",
            [("Ana Novak", "12:03 PM", "Hello there"), ("Ana Novak", "12:05", "b"), ("Dana Keller", "12:06 PM", "Y")],
        ),
        (
            "Ana Novak, [21.09.2026 14:13]\nHello\n\nDana, [21.09.2026 14:15]\nyes",
            [("Ana Novak", "21.09.2026 14:13", "Hello"), ("Dana", "21.09.2026 14:15", "yes")],
        ),
        ("[9/21 2:13 PM] Ana Novak\nhello", [("Ana Novak", "9/21 2:13 PM", "hello")]),
        ("Ana — Today at 12:03\nhello", [("Ana", "Today at 12:03", "hello")]),
        ("Ana (12:03): hello", [("Ana", "12:03", "hello")]),
        ("just some words\nNote: with a colon", [("unknown", None, "just some words\nNote: with a colon")]),
        ("https://example.org: a link", [("unknown", None, "https://example.org: a link")]),
    ],
)  # fmt: skip
def test_a_paste_becomes_who_when_and_what(text: str, lines: list[tuple[str, str | None, str]]) -> None:
    assert told(parse_chat(text)) == lines


def test_words_before_the_first_name_are_kept() -> None:
    assert told(parse_chat("From Monday\n[12:03] Ana: hi")) == [
        ("unknown", None, "From Monday"),
        ("Ana", "12:03", "hi"),
    ]


# WhatsApp


def test_an_android_export_in_24_hours_is_read_with_its_system_lines_and_long_messages() -> None:
    export = (
        "\ufeff21/09/2026, 14:13 - Messages and calls are end-to-end encrypted.\n"
        "21/09/2026, 14:13 - Ana Novak: Friday: is that fine?\nI need the depths.\n\n- two\n"
        "22/09/2026, 09:00 - Dana Keller: <Media omitted>\n"
        '22/09/2026, 09:01 - Ana Novak changed the subject to "Plan: B"\n'
    )
    parsed = parse_chat(export)
    assert told(parsed) == [
        ("WhatsApp", "2026-09-21 14:13", "Messages and calls are end-to-end encrypted."),
        ("Ana Novak", "2026-09-21 14:13", "Friday: is that fine?\nI need the depths.\n\n- two"),
        ("Dana Keller", "2026-09-22 09:00", "<Media omitted>"),
        ("WhatsApp", "2026-09-22 09:01", 'Ana Novak changed the subject to "Plan: B"'),
    ]
    assert parsed.title == "Chat of Ana Novak and Dana Keller" and not parsed.is_ambiguous
    assert parsed.notes == [
        "1 picture or file is only named in this export. Attach what matters to an entry of its own."
    ]


def test_an_iphone_export_is_read_through_its_marks_of_direction() -> None:
    export = "\u200e[21.09.26, 14:13:20] ~ Ana: hi\n\u200e[21.09.26, 14:13:25] Dana: \u200eimage omitted\n"
    assert told(parse_chat(export)) == [
        ("Ana", "2026-09-21 14:13:20", "hi"),
        ("Dana", "2026-09-21 14:13:25", "image omitted"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "day"),
    [
        ("9/1/26, 2:13\u202fPM", "9/30/26, 2:14\u202fAM", "2026-09-01"),  # a 30th month there is not
        ("1/9/26, 2:13 PM", "30/9/26, 2:14 PM", "2026-09-01"),
        ("01/02/2026, 10:00", "02/01/2026, 10:00", "2026-01-02"),  # time goes on: January, then February
        ("2026-09-01, 10:00", "2026-09-02, 10:00", "2026-09-01"),
        ("01.09.26, 10:00", "02.09.26, 10:00", "2026-09-01"),  # dots: days first
    ],
)
def test_days_and_months_are_told_apart_by_evidence(first: str, second: str, day: str) -> None:
    parsed = parse_chat(f"{first} - Ana: a\n{second} - Dana: b")
    assert parsed.lines[0].at is not None and parsed.lines[0].at.startswith(day)
    assert not parsed.is_ambiguous


def test_dates_without_evidence_are_a_guess_that_says_so_and_can_be_turned() -> None:
    export = "01/09/2026, 10:00 - Ana: a\n02/09/2026, 10:00 - Ana: b"
    parsed = parse_chat(export)
    assert parsed.is_ambiguous and "two ways" in parsed.notes[0]
    assert [line.at for line in parsed.lines] == ["2026-09-01 10:00", "2026-09-02 10:00"]
    turned = parse_chat(export, "month")
    assert [line.at for line in turned.lines] == ["2026-01-09 10:00", "2026-02-09 10:00"] and not turned.is_ambiguous
    american = parse_chat("9/1/26, 2:13 PM - Ana: a\n9/2/26, 2:14 AM - Ana: b")
    assert american.is_ambiguous and american.lines[1].at == "2026-09-02 02:14"


said = st.lists(st.from_regex(r"[a-z]{1,8}[.!?]?", fullmatch=True), min_size=1, max_size=8)


@given(
    st.lists(
        st.tuples(st.sampled_from(["Ana", "Dana Keller", "José 🌊"]), said, st.booleans()), min_size=1, max_size=20
    )
)
def test_no_message_of_an_export_is_lost_changed_or_given_to_another(
    messages: list[tuple[str, list[str], bool]],
) -> None:
    texts = [(who, ("\n" if is_long else " ").join(words)) for who, words, is_long in messages]
    export = "\n".join(f"21/09/2026, 14:13 - {who}: {text}" for who, text in texts)
    assert told(parse_chat(export)) == [(who, "2026-09-21 14:13", text) for who, text in texts]


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_whatever_is_pasted_becomes_a_body_that_fits_its_kind(text: str) -> None:
    parsed = parse_chat(text)
    if parsed.lines:
        check_lines(parsed.lines)
        checked_body("transcript", body_of_lines("chat", "A title", parsed.lines))


# Mail


def mail(**changes: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = changes.get("sender", "Ana Novák <ana@example.org>")
    message["To"] = "dana@example.org"
    message["Subject"] = changes.get("subject", "Re: The map")
    message["Date"] = changes.get("date", "Mon, 21 Sep 2026 14:13:20 +0200")
    message.set_content(changes.get("text", "Friday.\n\nOn Monday Dana wrote:\n> When?\n>> Soon.\n"))
    return message


def test_a_mail_gives_sender_subject_text_and_a_date_with_its_zone() -> None:
    data = mail().as_bytes()
    assert looks_like_mail(data)
    parsed = parse_mail(data)
    assert (parsed.medium, parsed.title) == ("email", "Re: The map")
    assert told(parsed) == [
        ("Ana Novák", "2026-09-21T14:13:20+02:00", "Friday.\n\nOn Monday Dana wrote:\n> When?\n>> Soon.")
    ]
    assert parsed.notes == ["Sent by Ana Novák <ana@example.org> to dana@example.org."]


def test_a_date_without_a_zone_stays_local_and_a_broken_one_stays_text() -> None:
    assert parse_mail(mail(date="Mon, 21 Sep 2026 14:13:20 -0000").as_bytes()).lines[0].at == "2026-09-21 14:13:20"
    assert parse_mail(mail().as_bytes().replace(b"+0200", b"+0000")).lines[0].at == "2026-09-21T14:13:20Z"
    broken = b"From: a@b.c\r\nSubject: x\r\nDate: yesterday evening\r\n\r\nhi\r\n"
    assert parse_mail(broken).lines[0].at == "yesterday evening"


def test_the_files_of_a_mail_are_named() -> None:
    message = mail()
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="plan.pdf")
    message.add_attachment(mail(subject="An older one"))
    parsed = parse_mail(message.as_bytes())
    assert parsed.lines[1].text == "(attached: plan.pdf, An older one)"
    assert "in the original" in parsed.notes[-1]


def test_a_mail_of_html_alone_is_read_as_text_and_nothing_in_it_runs() -> None:
    message = mail()
    message.set_content(
        "<html><head><style>p{}</style></head><body><p>Friday&nbsp;&amp; <b>Monday</b></p><script>alert(1)</script>"
        '<ul><li>one<li>two</ul><a href="https://x.example/?a=1&amp;b=2">the map</a></body></html>',
        subtype="html",
    )
    [line] = parse_mail(message.as_bytes()).lines
    assert line.text == "Friday & Monday\n\n- one\n- two\nthe map <https://x.example/?a=1&b=2>"


def test_an_unknown_charset_costs_no_mail() -> None:
    data = b'From: a@b.c\nSubject: x\nContent-Type: text/plain; charset="x-none"\n\nhi \xe4\n'
    assert parse_mail(data).lines[0].text.startswith("hi")


def test_what_is_no_mail_is_refused_with_what_to_do() -> None:
    assert not looks_like_mail(b"Ana: hi\nDana: ho")
    with pytest.raises(Malformed, match=r"Save it .* as \.eml"):
        parse_mail(b"\x00\x01 nothing")


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader_of_mails(data: bytes) -> None:
    for candidate in (
        data,
        b"From: a@b.c\nSubject: " + data,
        b"From: " + data,
        mail().as_bytes().replace(b"text", data),
    ):
        try:
            parsed = parse_mail(candidate)
        except Malformed:
            continue
        check_lines(parsed.lines)
        checked_body("transcript", body_of_lines("email", parsed.title or "x", parsed.lines))


@pytest.mark.parametrize("piece", ["<!--", "<a ", "&#", "<", "</", "<script>", "<?", "<img alt='", "<p>" * 3])
def test_html_is_read_in_one_pass(piece: str) -> None:
    started = time.monotonic()
    html_text(piece * (200_000 // len(piece)))
    assert time.monotonic() - started < 3.0, "a broken page takes as long as its square"


def test_texts_are_decoded_by_their_mark_or_as_windows_writes_them() -> None:
    assert decoded("Grüße".encode("utf-8-sig")) == "Grüße"
    assert decoded("Grüße".encode("utf-16")) == "Grüße"
    assert decoded("Grüße".encode("cp1252")) == "Grüße"


# Limits


@given(st.sampled_from(["map ", "Grüße ", "深い", "🌊", "a\n"]), st.integers(1, 60_000))
@settings(max_examples=30)
def test_a_text_that_is_too_long_for_a_line_becomes_several_without_a_cut(word: str, times: int) -> None:
    lines = parts_of("Ana", word * times, None)
    assert all(len(line.text) <= TEXT_CHARS_MAX and len(line.text.encode()) <= 32 * 1024 for line in lines)
    assert "".join("".join(line.text for line in lines).split()) == word.strip() * times


def test_too_many_lines_are_refused_with_how_to_split_them() -> None:
    lines = [Line("Ana", f"line {n}") for n in range(1_240)]
    with pytest.raises(
        TooLarge, match=r"this has 1,240 lines\. Split it: take lines 1 to 500 now, and go on with line 501"
    ):
        check_size(lines)
    check_size(lines[:500])


@given(st.lists(st.text(min_size=1, max_size=3_000), min_size=1, max_size=60))
@settings(max_examples=30)
def test_what_is_said_to_fit_does_fit(texts: list[str]) -> None:
    lines = [line for text in texts for line in parts_of("Ana", text, None)] * 8
    fits = fitting(lines)
    assert len(canonical(body_of_lines("email", "T" * 200, lines[:fits]))) <= BODY_BYTES_MAX


def test_a_line_that_is_wrong_is_named() -> None:
    for lines, field in (
        ([], "lines"),
        ([Line("Ana", "x"), Line(" ", "y")], "who.1"),
        ([Line("A" * 121, "x")], "who.0"),
        ([Line("Ana", "x", "1" * 41)], "at.0"),
        ([Line("Ana", "x" * 20_001)], "text.0"),
    ):
        with pytest.raises(InvalidBody) as refused:
            check_lines(lines)
        assert refused.value.field == field


# The weekly question


def test_a_member_who_talks_elsewhere_is_asked_once_a_week_at_most() -> None:
    said = 1_790_000_000_000
    assert not question_is_due(said, None, said + 7 * DAY_MS - 1)
    assert question_is_due(said, None, said + 7 * DAY_MS)
    answered = said + 9 * DAY_MS
    assert not question_is_due(said, answered, answered + 7 * DAY_MS - 1)
    assert question_is_due(said, answered, answered + 7 * DAY_MS)
    assert not question_is_due(answered, said, answered), "who says so anew is asked a week later"
