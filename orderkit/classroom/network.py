"""Which of this machine's addresses is the room's."""

from __future__ import annotations

import ipaddress
import socket

import psutil

from orderkit.errors import LabError

_SOMEWHERE = ("192.0.2.1", 9)  # reserved for documentation; nothing is sent there


def room_address() -> str:
    """This machine's address on the private network that it is in. Raises LabError where there is none, or several."""
    usual = _towards_elsewhere()
    if usual is not None and _is_private(usual):
        return usual
    found = sorted(
        {each.address for every in psutil.net_if_addrs().values() for each in every if _is_private(each.address)}
    )
    if len(found) == 1:
        return found[0]
    which = f"this machine has several: {', '.join(found)}" if found else "this machine has none"
    raise LabError(f"which address of the room's network? {which}; name one: --host 192.168.1.5")


def check_host(host: str) -> str:
    """An address on which a class may listen: one, and not every. Raises LabError."""
    if host in ("0.0.0.0", "") or ":" in host:  # noqa: S104 - compared, not bound
        raise LabError(
            f"{host or 'an empty address'} is not one IPv4 address or name; name the room's: --host 192.168.1.5"
        )
    return host


def _towards_elsewhere() -> str | None:
    """The address from which packets to other networks leave."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_SOMEWHERE)
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _is_private(address: str) -> bool:
    try:
        known = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return known.is_private and not known.is_loopback and not known.is_link_local
