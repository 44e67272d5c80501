"""Store the usage limits that responses report, so that a program can show how they changed.

The history is a SQLite database in the user's data folder, which all clients of this user share. It is off by default.
A row is one reading of one window: time, plan, limit, percentage, reset time, and a hash of the account ID. It contains
no name, no token, and nothing about requests.

A call must not fail because of the history, and waits for it a millisecond at most. `record` opens the database, writes
the readings in one transaction and closes it, without waiting for the disk: after a power failure, the last readings
may be missing. While another program has locked the database, readings wait in memory for the next call. A problem is
logged once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._constants import USAGE_HISTORY_ENV
from .._data_folder import data_folder
from .._files import create_private_file, create_private_folder
from .._threads import create_lock
from .limit_parsing import PLAN_LIMIT_ID
from .limit_types import AdditionalLimit, RateLimits, RateLimitWindow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

__all__ = ["UsageHistory", "UsageReading", "account_hash"]

_log = logging.getLogger("codex_backend_sdk")

_FILE_NAME: Final = "usage.sqlite3"
_ON: Final = ("1", "true", "yes", "on")
_OFF: Final = ("0", "false", "no", "off", "")
# Equal readings of a window are stored once within this time. Reset times that are computed from a remaining time
# differ by less than it.
_REPEAT_AFTER: Final = timedelta(minutes=1)
# Readings that wait in memory while the database is locked. A program that makes more calls than this loses the oldest.
_MAX_WAITING: Final = 1000
# Another program holds the lock for a millisecond.
_LOCK_TIMEOUT_SECONDS: Final = 0.25
# SQLite does not wait for a lock to change the journal mode, which the first two programs may do at the same time.
_MODE_ATTEMPTS: Final = 20
_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS readings (received_at REAL NOT NULL, account TEXT NOT NULL, plan TEXT, "
    "limit_id TEXT NOT NULL, limit_name TEXT, length_seconds REAL NOT NULL, used_percent REAL NOT NULL, "
    "resets_at REAL, is_exhausted INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS readings_of_window ON readings (account, limit_id, length_seconds, received_at)",
    "CREATE INDEX IF NOT EXISTS readings_by_time ON readings (received_at)",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)
_LAST: Final = (
    "SELECT received_at, used_percent, resets_at, is_exhausted FROM readings WHERE account = ? AND limit_id = ? "
    "AND length_seconds = ? AND received_at <= ? ORDER BY received_at DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReading:
    """The state of one window of a limit, as the backend reported it at `received_at`.

    `account` is a hash of the account ID. `limit` is the ID of the limit: `codex` is the plan's own. `is_exhausted` is
    whether the limit was used up, which the backend may report below 100 %.
    """

    received_at: datetime
    account: str
    plan: str | None
    limit: str
    limit_name: str | None
    window: RateLimitWindow
    is_exhausted: bool


class _Row(NamedTuple):
    """A row of the database. A window of unknown length has the length 0."""

    received_at: float
    account: str
    plan: str | None
    limit_id: str
    limit_name: str | None
    length_seconds: float
    used_percent: float
    resets_at: float | None
    is_exhausted: bool


def account_hash(account_id: str | None) -> str:
    """Return the name of an account in the history: the first 16 hexadecimal digits of the SHA-256 of its ID."""
    return hashlib.sha256((account_id or "").encode()).hexdigest()[:16]


class UsageHistory:
    """The usage limits that the clients of this user have received.

    Args:
        path: The database file (default: `usage.sqlite3` in the user's data folder). It is created with mode 0600 when
            the first reading is stored.
        keep_days: Older readings are deleted.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, keep_days: float = 90) -> None:
        if not keep_days > 0:
            raise ValueError(f"`keep_days` must be a positive number of days, not {keep_days!r}.")
        self._path = (data_folder() / _FILE_NAME if path is None else Path(path)).expanduser().absolute()
        self._keep = timedelta(days=keep_days)
        self._lock = create_lock()
        self._waiting: list[_Row] = []
        self._has_failed = False
        self._newest: dict[tuple[str, str, float], _Row] = {}

    @classmethod
    def from_argument(cls, value: bool | str | os.PathLike[str] | UsageHistory | None) -> UsageHistory | None:
        """Return the history for the argument `usage_history` of a client, or None if it is off.

        None means `CODEX_USAGE_HISTORY`, which has the same values as text: `1`, `0` or a path.
        """
        if value is None:
            text = os.environ.get(USAGE_HISTORY_ENV, "").strip()
            value = True if text.lower() in _ON else False if text.lower() in _OFF else text
        if isinstance(value, UsageHistory):
            return value
        if isinstance(value, bool):
            return cls() if value else None
        if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
            raise TypeError(f"`usage_history` must be True, False, a path or a UsageHistory, not {value!r}.")
        return cls(value)

    @property
    def path(self) -> Path:
        """The path of the database file."""
        return self._path

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r})"

    # --- writing ------------------------------------------------------------------------------------------------------

    def record(self, limits: RateLimits, *, account_id: str | None) -> None:
        """Store a reading. Raise no error: a problem is logged once.

        A client with `usage_history` calls this method for every response.
        """
        rows = [row for row in _rows(limits, account_hash(account_id)) if not self._is_repeated(row)]
        if rows:
            with self._lock:
                self._waiting = [*self._waiting, *rows][-_MAX_WAITING:]
                self._write_waiting()

    def _is_repeated(self, row: _Row) -> bool:
        """Return whether this object has recorded an equal reading within a minute."""
        key = (row.account, row.limit_id, row.length_seconds)
        last = self._newest.get(key)
        if last is not None and _is_repetition(row, last.received_at, *last[6:]):
            return True
        if len(self._newest) >= _MAX_WAITING:  # a server that invents limits
            self._newest.clear()
        self._newest[key] = row
        return False

    def _write_waiting(self) -> None:
        """Write the readings that wait, or leave them waiting if the database is locked."""
        if not self._waiting:
            return
        try:
            import sqlite3  # 5 ms; missing in some builds of Python

            create_private_folder(self._path.parent)
            with suppress(FileExistsError):
                os.close(create_private_file(self._path, like=self._path))
            try:
                with _database(self._path) as database:
                    _insert(database, self._waiting, delete_before=time.time() - self._keep.total_seconds())
            except sqlite3.OperationalError as error:
                if "locked" in str(error):
                    return
                raise
        except Exception as error:  # a full disk, a damaged file, a missing module: no call may fail because of it
            self._log_failure(error)
        self._waiting = []

    def _log_failure(self, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            _log.warning(
                "The usage history %s cannot be written (%s). Calls continue without it. Delete the file if it is "
                "damaged, check its folder, or turn the history off.",
                self._path,
                error,
            )

    # --- reading ------------------------------------------------------------------------------------------------------

    def readings(self, *, days: float | None = None, account_id: str | None = None) -> list[UsageReading]:
        """Return the readings of the last `days` (default: all), oldest first, of one account or of all.

        Returns an empty list if there is no history yet. Raises OSError if it cannot be read.
        """
        import sqlite3

        with self._lock:
            self._write_waiting()
        if not self._path.exists():
            return []
        since = 0.0 if days is None else time.time() - days * 86_400
        query = "SELECT * FROM readings WHERE received_at >= ?"
        values: list[float | str] = [since]
        if account_id is not None:
            query += " AND account = ?"
            values.append(account_hash(account_id))
        try:
            with _database(self._path) as database:
                if not database.execute("PRAGMA user_version").fetchone()[0]:
                    return []
                rows = database.execute(f"{query} ORDER BY received_at", values).fetchall()
        except sqlite3.Error as error:
            raise OSError(f"The usage history {self._path} cannot be read ({error}).") from error
        return [_reading(_Row(*row)) for row in rows]

    def newest(self, *, account_id: str | None) -> RateLimits | None:
        """Return the newest limits of an account that any client has stored, or None if there are none.

        Windows whose reset time has passed are left out. Raises OSError if the history cannot be read.
        """
        newest = {(reading.limit, reading.window.length): reading for reading in self.readings(account_id=account_id)}
        now = datetime.now(UTC)
        current = [each for each in newest.values() if each.window.resets_at is None or each.window.resets_at > now]
        if not current:
            return None
        last = max(current, key=lambda reading: reading.received_at)
        by_limit: dict[str, list[UsageReading]] = {}
        for reading in current:
            by_limit.setdefault(reading.limit, []).append(reading)
        plan = by_limit.pop(PLAN_LIMIT_ID, [])
        return RateLimits(
            received_at=last.received_at,
            plan=last.plan,
            windows=_windows(plan),
            limit_reached=any(reading.is_exhausted for reading in plan) or None,
            additional=tuple(
                AdditionalLimit(
                    id=limit_id,
                    name=own[0].limit_name,
                    windows=_windows(own),
                    limit_reached=any(reading.is_exhausted for reading in own) or None,
                )
                for limit_id, own in by_limit.items()
            ),
        )

    def clear(self) -> None:
        """Delete all readings. Raises OSError if the file cannot be deleted."""
        with self._lock:
            self._waiting = []
            self._newest.clear()
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def _rows(limits: RateLimits, account: str) -> Iterator[_Row]:
    for limit_id, name, limit in (
        (PLAN_LIMIT_ID, None, limits),
        *((limit.id or limit.name or "", limit.name, limit) for limit in limits.additional),
    ):
        for window in limit.windows:
            yield _Row(
                received_at=limits.received_at.timestamp(),
                account=account,
                plan=limits.plan,
                limit_id=limit_id,
                limit_name=name,
                length_seconds=window.length.total_seconds() if window.length else 0.0,
                used_percent=window.used_percent,
                resets_at=window.resets_at.timestamp() if window.resets_at else None,
                is_exhausted=limit.exhausted_window is window,
            )


def _reading(row: _Row) -> UsageReading:
    return UsageReading(
        received_at=datetime.fromtimestamp(row.received_at, UTC),
        account=row.account,
        plan=row.plan,
        limit=row.limit_id,
        limit_name=row.limit_name,
        window=RateLimitWindow(
            used_percent=row.used_percent,
            length=timedelta(seconds=row.length_seconds) if row.length_seconds else None,
            resets_at=None if row.resets_at is None else datetime.fromtimestamp(row.resets_at, UTC),
        ),
        is_exhausted=bool(row.is_exhausted),
    )


def _windows(readings: Iterable[UsageReading]) -> tuple[RateLimitWindow, ...]:
    windows = (reading.window for reading in readings)
    return tuple(sorted(windows, key=lambda window: window.length or timedelta.max))


def _is_repetition(
    row: _Row, received_at: float, used_percent: float, resets_at: float | None, is_exhausted: bool
) -> bool:
    limit = _REPEAT_AFTER.total_seconds()
    has_same_reset = (
        row.resets_at is resets_at
        if row.resets_at is None or resets_at is None
        else abs(row.resets_at - resets_at) < limit
    )
    is_equal = row.used_percent == used_percent and row.is_exhausted == bool(is_exhausted) and has_same_reset
    return is_equal and row.received_at - received_at < limit


# --- the database -----------------------------------------------------------------------------------------------------


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database for a moment: a connection that stays open must not be used across a fork."""
    import sqlite3

    database = sqlite3.connect(path, timeout=_LOCK_TIMEOUT_SECONDS, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous = OFF")  # a sync takes as long as 50 ms
        yield database
    finally:
        database.close()


def _set_journal_mode(database: sqlite3.Connection) -> None:
    """Let programs read while another one writes."""
    import sqlite3

    for attempt in range(_MODE_ATTEMPTS):
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if attempt == _MODE_ATTEMPTS - 1:
                raise
            time.sleep(0.005)
        else:
            return


def _insert(database: sqlite3.Connection, rows: Iterable[_Row], *, delete_before: float) -> None:
    _set_journal_mode(database)
    database.execute("BEGIN IMMEDIATE")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > _SCHEMA_VERSION:
        raise OSError("it was written by a newer version of this package")
    if version == 0:
        for statement in _SCHEMA:
            database.execute(statement)
    for row in rows:
        last: Any = database.execute(_LAST, (row.account, row.limit_id, row.length_seconds, row.received_at)).fetchone()
        if last is None or not _is_repetition(row, *last):
            database.execute(f"INSERT INTO readings VALUES ({', '.join('?' * len(row))})", row)
    database.execute("DELETE FROM readings WHERE received_at < ?", (delete_before,))
    database.execute("COMMIT")
