"""The home folder: where the device's token, the spool and the control socket live.

Rule 1: the folder belongs to its user alone (mode 0700), and so does every file in it.
Rule 2: one process at a time holds the lock; it is the one that may open the spool.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec
import platformdirs

HOME_VARIABLE = "WORKROOM_TRACKER_HOME"


class NotPaired(Exception):
    """There is no device here yet."""

    def __str__(self) -> str:
        return "This device is not paired. Run: python -m tracker pair https://your.server"


class AlreadyRunning(Exception):
    """Another process holds the lock of this home folder."""

    def __str__(self) -> str:
        return "A tracker runs already with this home folder. Stop it with: python -m tracker stop"


class Device(msgspec.Struct, frozen=True):
    """What pairing left here. `server` is `http(s)://host[:port]`."""

    server: str
    token: str
    name: str


class Home:
    """The folder, and the lock while it is held."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: int | None = None

    @classmethod
    def chosen(cls, given: str | None) -> Home:
        """Return the folder that was given, else the environment's, else this user's; it exists afterwards."""
        named = given or os.environ.get(HOME_VARIABLE)
        folder = Path(named) if named else Path(platformdirs.user_state_dir("workroom-tracker"))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        return cls(folder.resolve())

    @property
    def spool(self) -> Path:
        return self.folder / "spool.sqlite"

    @property
    def socket(self) -> Path:
        return self.folder / "control.sock"

    def lock(self) -> None:
        """Take the lock until the process ends.

        Raises:
            AlreadyRunning: if another process has it.
        """
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise AlreadyRunning from None
        self._lock = handle

    @property
    def lock_is_held(self) -> bool:
        """Whether this process holds the lock."""
        return self._lock is not None

    def store_device(self, device: Device) -> None:
        """Keep the device, in place of an earlier one."""
        target, fresh = self.folder / "device.json", self.folder / "device.json.new"
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            file.write(msgspec.json.encode(device))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)

    def device(self) -> Device:
        """Return the device.

        Raises:
            NotPaired: if there is none.
        """
        try:
            return msgspec.json.decode((self.folder / "device.json").read_bytes(), type=Device)
        except (OSError, msgspec.MsgspecError):
            raise NotPaired from None
