"""The picture process: decodes one picture that nobody vouches for, and answers with its thumbnail.

Run as `python -m workers.pictures` by `workers.picture_pool`; it speaks length-prefixed messages on stdin and stdout.

Rule 1: it imports Pillow and the standard library only, writes no file, opens no socket, starts no process.
Rule 2: memory, CPU time per picture and pixels are limited; what goes over a limit is refused with a reason or ends
    the process, and the parent starts another.
Rule 3: it ends when its parent does.

A request is a 4-byte big-endian length and the path of a picture in UTF-8. An answer is a 4-byte length and that many
bytes: one byte of `Answer`, then the thumbnail (WebP), or the reason as a word.
"""

from __future__ import annotations

import ctypes
import io
import os
import platform
import resource
import signal
import struct
import sys
import warnings
from collections.abc import Callable
from typing import BinaryIO

from PIL import Image, ImageFile

THUMBNAIL_WIDTH = 480
THUMBNAIL_HEIGHT_MAX = 1920  # a column of three portrait screens; WebP itself ends at 16,383
QUALITY = 75
EFFORT = 2  # 0 to 6: 4 ms for 480 × 270; more effort costs more than the bytes it saves
PIXELS_MAX = 40_000_000  # rule 2.6
FORMATS = ("WEBP", "PNG", "JPEG")
MEMORY_BYTES_MAX = 1 << 30  # the largest allowed picture needs four copies of 160 MB in Pillow's WebP decoder
CPU_SECONDS_MAX = 10  # the largest allowed picture takes one
OPEN_FILES_MAX = 16

ANSWER_THUMBNAIL = b"\x01"
ANSWER_REASON = b"\x00"

_LENGTH = struct.Struct(">I")
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 1, 38, 22, 2
# System calls by number, in this order: socket socketpair connect io_uring_setup; clone clone3 execve execveat ptrace
# process_vm_readv process_vm_writev kill; unlinkat renameat renameat2 truncate; and where they exist fork vfork unlink
# rename rmdir.
_FORBIDDEN_CALLS = {
    "x86_64": (
        0xC000003E,
        (41, 53, 42, 425, 56, 435, 59, 322, 101, 310, 311, 62, 263, 264, 316, 76, 57, 58, 87, 82, 84),
    ),
    "aarch64": (0xC00000B7, (198, 199, 203, 425, 220, 435, 221, 281, 117, 270, 271, 129, 35, 38, 276, 45)),
}


class Unreadable(Exception):
    """The picture cannot be shown; the reason is one word for the record."""


def thumbnail(path: str) -> bytes:
    """Return the thumbnail of the picture at `path`: WebP, 480 px wide or as wide as the picture if that is less.

    Raises:
        Unreadable: with the reason `missing`, `broken`, `too_large`, `animated` or `memory`.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height > PIXELS_MAX:
                raise Unreadable("too_large")
            if getattr(picture, "n_frames", 1) != 1:
                raise Unreadable("animated")
            return _encoded(_shrunk(picture))
    except FileNotFoundError:
        raise Unreadable("missing") from None
    except MemoryError:
        raise Unreadable("memory") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable("too_large") from None
    except (OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError, struct.error):
        raise Unreadable("broken") from None  # whatever Pillow's parsers raise on a file that is not what it says


def _shrunk(picture: ImageFile.ImageFile) -> Image.Image:
    box = (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT_MAX)
    # JPEG is decoded at the smallest of 1/1, 1/2, 1/4, 1/8 that is still large enough.
    scale = min(THUMBNAIL_WIDTH / picture.width, THUMBNAIL_HEIGHT_MAX / picture.height)
    picture.draft("RGB", (round(picture.width * scale), round(picture.height * scale)))
    picture.load()
    image: Image.Image = picture
    if image.mode.startswith("I"):  # 16 bits a sample
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif image.mode not in ("RGB", "RGBA", "RGBX", "L"):
        image = image.convert("RGBA" if image.mode in ("LA", "PA") or "transparency" in image.info else "RGB")
    image.thumbnail(box, Image.Resampling.BICUBIC, reducing_gap=2.0)
    if image.mode == "RGBA":  # what shows through has no colour of its own
        ground = Image.new("RGB", image.size, (255, 255, 255))
        ground.paste(image, mask=image.getchannel("A"))
        return ground
    return image.convert("RGB")


def _encoded(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, method=EFFORT)
    return out.getvalue()


def answer_to(path: str, draw: Callable[[str], bytes] = thumbnail) -> bytes:
    """Return the answer to one request."""
    try:
        return ANSWER_THUMBNAIL + draw(path)
    except Unreadable as unreadable:
        return ANSWER_REASON + str(unreadable).encode()


def serve(requests: BinaryIO, answers: BinaryIO, draw: Callable[[str], bytes] = thumbnail) -> None:
    """Answer requests until the parent closes its end."""
    while len(prefix := requests.read(_LENGTH.size)) == _LENGTH.size:
        path = os.fsdecode(requests.read(_LENGTH.unpack(prefix)[0]))
        _limit_cpu()
        answer = answer_to(path, draw)
        answers.write(_LENGTH.pack(len(answer)) + answer)
        answers.flush()


def _limit_cpu() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + CPU_SECONDS_MAX + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def confine(parent: int) -> None:
    """Give up everything that decoding does not need. Limits that this system lacks are left out."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES_MAX, OPEN_FILES_MAX))
    os.nice(2)  # sockets before pictures, which have a fifth of a second
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _forbid_calls(libc)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)


def _forbid_calls(libc: ctypes.CDLL) -> None:
    """Make the system calls of networks, processes and names of files fail (seccomp, a filter of classic BPF)."""
    known = _FORBIDDEN_CALLS.get(platform.machine())
    if known is None:
        return
    architecture, numbers = known
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    allow, refuse, kill = 0x7FFF0000, 0x00050001, 0x80000000  # refuse: EPERM
    count = len(numbers)
    program = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (answer, 0, 0, kill),
        (load, 0, 0, 0),
        (at_least, count + 1, 0, 0x40000000),  # the x32 numbering of the same calls
        *((equal, count - index, 0, number) for index, number in enumerate(numbers)),
        (answer, 0, 0, allow),
        (answer, 0, 0, refuse),
    ]
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    held = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(Program(len(program), ctypes.addressof(held))))


def main() -> None:
    """Serve the parent whose process id is the only argument."""
    # Ctrl-C is for the server, which then ends us: a process group of our own. But no session: where Linux shares the
    # processor by sessions, pictures would get as much as the sockets, and being nice would mean nothing.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing that prints can spoil an answer
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.init()  # load the decoders before files are limited
    confine(int(sys.argv[1]))
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
