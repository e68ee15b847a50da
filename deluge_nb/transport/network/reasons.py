"""Reasons for which there is no connection, in the system's words."""

from __future__ import annotations

import os
import socket


def reason_of(error: OSError) -> str:
    """Return what the system says of a failure, without the call that failed."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)
