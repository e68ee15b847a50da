"""Certificates that connections are checked with, and the failures to connect that a second try cannot cure."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import certifi
import httpx

from ..paths import is_endless

# Servers answer in plain text where TLS was spoken to them.
_HOSTNAME_MISMATCH, _ADDRESS_MISMATCH, _NOT_YET_VALID, _EXPIRED = 62, 64, 9, 10
"""What OpenSSL calls these reasons to refuse a certificate."""
# What other libraries read for the same purpose.
_UNREAD = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# No version of TLS is common to both sides.
_NOT_COMMON = frozenset({"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"})
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})


class PermanentConnectError(httpx.ConnectError):
    """Failure to connect for a reason that stays: a certificate, or a proxy that wants a login."""


def context_for(*urls: str) -> ssl.SSLContext:
    """Return the settings for TLS of connections to some addresses; without certificates where none needs TLS.

    Reading certificates takes 25 ms, and fails where a variable names none.

    Raises
    ------
    PermanentConnectError
        When TLS is needed, and a variable names a file or folder that cannot be used.
    """
    needs_tls = any(url.startswith("https:") for url in urls)
    return tls_context() if needs_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def tls_context() -> ssl.SSLContext:
    """Return the settings for TLS, with the certificates of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` if they are set.

    Raises
    ------
    PermanentConnectError
        When a variable names a file or folder that cannot be used.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and not folder:
        return ssl.create_default_context(cafile=certifi.where())
    if folder and not any(Path(part).is_dir() for part in folder.split(os.pathsep) if part):  # OpenSSL takes several
        raise _unusable("SSL_CERT_DIR", folder, "is no folder")
    if not file:
        return ssl.create_default_context(capath=folder)
    try:
        if is_endless(file) or Path(file).is_dir():
            reason = "is no file"
        else:
            with Path(file).open("rb") as opened:
                opened.read(1)
            reason = None
    except OSError as error:
        reason = f"cannot be read ({error.strerror or error})"
    if reason is None:
        try:
            return ssl.create_default_context(cafile=file, capath=folder or None)
        except ssl.SSLError:
            reason = "has no certificate in PEM format"
    raise _unusable("SSL_CERT_FILE", file, reason)


@contextmanager
def hidden_endless_file() -> Iterator[None]:
    """Hide ``SSL_CERT_FILE`` while a library is imported that reads it, if it names a pipe or a device.

    aiohttp reads the certificates when it is imported, also for connections without TLS, and would wait for ever.
    """
    file = os.environ.get("SSL_CERT_FILE")
    if not file or not is_endless(file):
        yield
        return
    del os.environ["SSL_CERT_FILE"]
    try:
        yield
    finally:
        os.environ.setdefault("SSL_CERT_FILE", file)


def _unusable(variable: str, value: str, reason: str) -> PermanentConnectError:
    return PermanentConnectError(f"{variable} names {value!r}, which {reason}; set it anew, or unset it")


def refusal(error: ssl.SSLError | ssl.CertificateError) -> PermanentConnectError | None:
    """Return the failure for an error of TLS that stays; None for one that may pass."""
    if isinstance(error, ssl.SSLCertVerificationError):
        others = [name for name in _UNREAD if os.environ.get(name)]
        file = f"the file of {others[0]}, which is not read here" if others else "a file with that certificate"
        remedy = f"if you trust who signed it, set SSL_CERT_FILE to {file}"
        if error.verify_code in (_HOSTNAME_MISMATCH, _ADDRESS_MISMATCH):
            remedy = "write the name that its certificate has into base_url"
        elif error.verify_code in (_NOT_YET_VALID, _EXPIRED):
            remedy = "the server needs a new certificate, or this machine's clock is wrong"
        return PermanentConnectError(f"its certificate is refused ({error.verify_message or error}); {remedy}")
    reason = getattr(error, "reason", None)
    if reason in _NOT_COMMON:
        return PermanentConnectError("it and this Python have no version of TLS in common; it needs TLS 1.2 or 1.3")
    if reason in _NO_TLS:
        return PermanentConnectError("it does not speak TLS; write http:// in place of https://")
    return None


def proxy_login(variable: str) -> str:
    """Return the sentence for a proxy that wants a login."""
    return f"the proxy wants a login (status 407); write it into {variable}, as http://user:password@host:port"
