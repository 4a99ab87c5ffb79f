"""Certificates as files, of an authority made for one test."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """A certificate authority whose files lie in a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._ca = trustme.CA(organization_name=name)
        self.path = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.path)

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Write a certificate for these hosts (127.0.0.1 and localhost if none) and its key."""
        made = self._ca.issue_cert(*(hosts or ("127.0.0.1", "localhost")), common_name=name)
        cert, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        cert.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        made.private_key_pem.write_to_path(key)
        return cert, key

    def flags(self, name: str, *hosts: str, ca: bool = True) -> list[str]:
        """The flags with which a server shows such a certificate and, with `ca`, asks for one."""
        cert, key = self.issue(name, *hosts)
        return [
            *("--tls-cert", str(cert), "--tls-key", str(key)),
            *(("--tls-ca", str(self.path)) if ca else ()),
        ]

    def client(self, shown: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """How a caller speaks who trusts this authority and shows this certificate."""
        context = ssl.create_default_context(cafile=str(self.path))
        if shown is not None:
            context.load_cert_chain(*shown)
        return context
