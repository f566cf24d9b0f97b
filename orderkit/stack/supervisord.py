"""supervisord, looking after its children ten times a second instead of once: what was killed is back at once."""

from __future__ import annotations

from supervisor import poller, supervisord  # type: ignore[import-untyped]

_LOOK_SECONDS = 0.1


class _QuickPoller(poller.Poller):  # type: ignore[misc]
    def poll(self, timeout: float) -> tuple[list[int], list[int]]:
        readable, writable = super().poll(min(timeout, _LOOK_SECONDS))
        return readable, writable


if __name__ == "__main__":
    poller.Poller = _QuickPoller
    supervisord.main()
