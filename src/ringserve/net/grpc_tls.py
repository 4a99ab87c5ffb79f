"""The certificates of the listener for grpcio, which keeps contexts of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from ringserve.net.tls import Pem, Tls


def credentials_of(tls: Tls) -> grpc.ServerCredentials:
    """Credentials that follow the files: a connection begins under those of its time."""
    shown = tls.pem

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        if tls.pem is shown:
            return None
        shown = tls.pem
        return _configuration(shown)

    return grpc.dynamic_ssl_server_credentials(_configuration(shown), renewed, tls.clients_known)


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.cert)], pem.ca or None)
