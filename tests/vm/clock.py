"""Clocks that run ahead or behind, for lifetimes."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo


def shifted(days: int) -> type[datetime]:
    """A `datetime` whose now() is `days` ahead."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            later = datetime.now(tz) + timedelta(days=days)
            return cls.fromtimestamp(later.timestamp(), tz)

    return Clock
