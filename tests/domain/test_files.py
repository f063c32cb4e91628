"""Names, types and sizes of files: what bytes say, and what a name may not do."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Malformed, TooLarge
from app.domain.files import (
    FILE_BYTES_MAX,
    HEAD_BYTES,
    NAME_BYTES_MAX,
    NAME_CHARS_MAX,
    checked_size,
    clean_name,
    disposition,
    media_of,
    media_word,
    size_text,
    text_of,
)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("plan.pdf", "plan.pdf"),
        ("C:\\Users\\ana\\plan.pdf", "plan.pdf"),
        ("../../etc/passwd", "passwd"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),  # shown as invoiceexe.pdf otherwise
        ("a\r\nb\tc.txt", "abc.txt"),
        ("  two   words .txt. ", "two words .txt"),
        ('what?"<is>".txt', "what___is__.txt"),
        ("CON.txt", "_CON.txt"),
        ("...", "file"),
        ("", "file"),
        ("Übersicht – 港.ods", "Übersicht – 港.ods"),
    ],
)
def test_a_name_keeps_what_people_read_and_loses_what_deceives(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned


def test_a_name_without_a_utf_8_form_is_refused() -> None:
    with pytest.raises(Malformed):
        clean_name("\ud800.txt")


@given(st.text())
def test_every_cleaned_name_is_short_plain_and_stays_as_it_is(name: str) -> None:
    try:
        cleaned = clean_name(name)
    except Malformed:
        return
    assert 0 < len(cleaned) <= NAME_CHARS_MAX and len(cleaned.encode()) <= NAME_BYTES_MAX
    assert not re.search(r'[\x00-\x1f\x7f/\\<>:"|?*]', cleaned) and cleaned.strip(" .")
    header = disposition(cleaned)
    assert header.isascii() and header.isprintable()
    assert re.fullmatch(r"attachment; filename=\"[^\"\\%;]*\"; filename\*=UTF-8''[A-Za-z0-9_.~%-]+", header)


def test_a_long_name_keeps_its_ending() -> None:
    assert clean_name("x" * 500 + ".pdf") == "x" * (NAME_CHARS_MAX - 4) + ".pdf"
    assert clean_name("港" * 500 + ".pdf").endswith("港.pdf")


@pytest.mark.parametrize(
    ("head", "media"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"RIFF....WEBPVP8 ", "image/webp"),
        (b"RIFF....WAVEfmt ", "audio/wav"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"<html><script>alert(1)</script>", "text/plain"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "text/plain"),
        (b"#!/bin/sh\n", "text/plain"),
        (b"MZ\x90\0", "application/x-msdownload"),
        (b"\x7fELF\x02", "application/x-executable"),
        (b"PK\x03\x04" + bytes(26) + b"word/document.xml",
         "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (b"PK\x03\x04" + bytes(14) + (39).to_bytes(4, "little") + bytes(8)
         + b"mimetypeapplication/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
        (b"PK\x03\x04" + bytes(26) + b"a.txt", "application/zip"),
        (b"\0\0\0\x20ftypavif", "image/avif"),
        (b"", "text/plain"),
        (b"\0\1\2\3", "application/octet-stream"),
        (b"caf\xe9", "application/octet-stream"),
    ],
)  # fmt: skip
def test_bytes_say_what_a_file_is(head: bytes, media: str) -> None:
    assert media_of(head) == media


@given(st.binary(max_size=200))
def test_no_bytes_are_of_a_type_that_runs_in_a_browser(head: bytes) -> None:
    media = media_of(head)
    assert re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,80}", media)
    assert not re.search(r"html|svg|xml\b|javascript", media)


@given(st.text(alphabet="aé港🙂\n", min_size=2000, max_size=5000))
def test_text_that_is_cut_within_a_character_is_still_text(text: str) -> None:
    shown = text_of(text.encode()[:HEAD_BYTES])
    assert shown is not None and text.startswith(shown)


def test_sizes_are_bounded_and_readable() -> None:
    assert checked_size(FILE_BYTES_MAX) == FILE_BYTES_MAX
    with pytest.raises(TooLarge, match="50 MiB"):
        checked_size(FILE_BYTES_MAX + 1)
    with pytest.raises(Malformed):
        checked_size(-1)
    assert [size_text(n) for n in (0, 812, 3500, 10_000, FILE_BYTES_MAX)] == [
        "0 bytes", "812 bytes", "3.4 KiB", "9.8 KiB", "50 MiB",
    ]  # fmt: skip


def test_a_type_has_a_word() -> None:
    assert [media_word(m) for m in ("image/png", "text/plain", "application/pdf", "application/zip", "video/mp4")] == [
        "picture", "text", "PDF", "archive", "video",
    ]  # fmt: skip
