"""TLS for the listener and the links: contexts made of files, and made again when the files change."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ringserve.errors import UsageError
from ringserve.net.watched_files import WatchedFiles, read_small

if TYPE_CHECKING:
    from ringserve.settings import Settings

log = logging.getLogger(__name__)
FILE_BYTES_MAX = 16 << 20


class CurrentContext(ssl.SSLContext):
    """Stands for another context, which may be replaced: a connection begins under the one of its time.

    To load new files into a context in use would leave certificates of an authority that was taken out of
    the file in force, and old session tickets too.
    """

    current: ssl.SSLContext

    @classmethod
    def of(cls, current: ssl.SSLContext) -> CurrentContext:
        """Stand for this one."""
        context = cls(current.protocol)
        context.current = current
        return context

    def wrap_bio(self, *args: Any, **more: Any) -> ssl.SSLObject:  # noqa: ANN401 - handed on as they come
        """Begin a connection under the current context."""
        return self.current.wrap_bio(*args, **more)


class Pem(NamedTuple):
    """What the files of the listener hold, for who makes no context of ours of them."""

    cert: bytes
    key: bytes
    ca: bytes


class Tls:
    """The contexts of one process.

    Attributes:
        server: For the listener; None where that is plain.
        client: For the links of a gateway; None where those are plain.
        clients_known: Whether callers of the listener must show a certificate.
        pem: What `server` was made of; another object after each change of the files.
    """

    pem: Pem

    def __init__(self, settings: Settings) -> None:
        """Read the files.

        Raises:
            UsageError: One is missing or does not fit, or the flags contradict each other.
        """
        _check(settings)
        self._settings = settings
        paths = (settings.tls_cert, settings.tls_key, settings.tls_ca)
        self._watched = WatchedFiles([path for path in paths if path])
        self.clients_known = bool(settings.tls_cert and settings.tls_ca) and settings.tls_clients != "off"
        self._links = settings.link_tls == "on" or (settings.link_tls == "auto" and settings.tls_ca != "")
        server, client = self._made()
        self.server = None if server is None else CurrentContext.of(server)
        self.client = None if client is None else CurrentContext.of(client)

    def refresh(self) -> None:
        """Read the files again if one has changed; broken ones leave everything as it was."""
        if not self._watched.changed():
            return
        try:
            server, client = self._made()
        except UsageError as error:
            log.warning("the certificates stay as they were: %s", error)
            return
        if self.server is not None and server is not None:
            self.server.current = server
        if self.client is not None and client is not None:
            self.client.current = client
        log.info("the certificates were read again")

    def _made(self) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
        settings = self._settings
        server = client = None
        if settings.tls_cert:
            server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            _show(server, settings)
            if self.clients_known:
                server.verify_mode = ssl.CERT_REQUIRED
                _trust(server, settings.tls_ca)
        if self._links:
            client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if settings.tls_cert:
                _show(client, settings)
            if settings.tls_ca:
                _trust(client, settings.tls_ca)
            else:
                client.load_default_certs()
        for context in (server, client):
            if context is not None:
                context.minimum_version = ssl.TLSVersion.TLSv1_2
        if server is not None:
            self.pem = self._pem()
        return server, client

    def _pem(self) -> Pem:
        settings = self._settings
        ca = read_small(settings.tls_ca, "--tls-ca", FILE_BYTES_MAX) if self.clients_known else b""
        cert = read_small(settings.tls_cert, "--tls-cert", FILE_BYTES_MAX)
        return Pem(cert, read_small(settings.tls_key, "--tls-key", FILE_BYTES_MAX), ca)


def _check(settings: Settings) -> None:
    """Raise where the flags contradict each other."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        there, missing = ("--tls-cert", "--tls-key") if settings.tls_cert else ("--tls-key", "--tls-cert")
        raise UsageError(f"{there} is given without {missing}; a certificate and its key go together")
    if settings.tls_clients == "required" and not (settings.tls_ca and settings.tls_cert):
        raise UsageError(
            "--tls-clients required: give --tls-ca, by which callers' certificates are verified, and "
            "--tls-cert and --tls-key, without which nobody can show one"
        )


def _show(context: ssl.SSLContext, settings: Settings) -> None:
    """Let a context show this process's certificate."""
    cert, key = settings.tls_cert, settings.tls_key
    _look_for(b"CERTIFICATE-----", cert, "--tls-cert")
    _look_for(b"PRIVATE KEY-----", key, "--tls-key")
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(f"--tls-key: {key} is not the key of the certificate in {cert}") from error
        raise UsageError(f"--tls-cert, --tls-key: {cert} and {key} cannot be used: {_why(error)}") from error
    except OSError as error:  # gone since it was looked for
        raise UsageError(f"--tls-cert, --tls-key: cannot read {cert} and {key}: {error.strerror}") from error


def _trust(context: ssl.SSLContext, ca: str) -> None:
    """Let a context accept the certificates of this authority, and of no other."""
    _look_for(b"CERTIFICATE-----", ca, "--tls-ca")
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        raise UsageError(f"--tls-ca: {ca} cannot be used: {_why(error)}") from error
    except OSError as error:
        raise UsageError(f"--tls-ca: cannot read {ca}: {error.strerror}") from error


def _look_for(mark: bytes, path: str, flag: str) -> None:
    """Say which file cannot be read or is another kind of file: ssl's own errors do not."""
    content = read_small(path, flag, FILE_BYTES_MAX)
    if mark not in content:
        raise UsageError(f"{flag}: {path} holds no {mark.decode().strip('-').lower()} in PEM form")


def _no_password() -> NoReturn:
    raise UsageError("--tls-key: the key is encrypted; write it out without a password, readable by one user")


def _why(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
