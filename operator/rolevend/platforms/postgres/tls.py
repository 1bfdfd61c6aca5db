"""TLS parameters for libpq, and the reason why a certificate was not trusted, which libpq does not report."""

import os
import socket
import ssl
import struct

from rolevend.errors import RolevendError, UntrustedServer
from rolevend.platforms.protocol import Address, Tls, TlsMode

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_SECONDS = 3.0


class Trust:
    """libpq's parameters for connections under `tls`, valid until `close`."""

    def __init__(self, tls: Tls) -> None:
        # libpq reads authorities only from files, and the container's disk is read-only: use an in-memory file.
        self._file = None if tls.authority is None else os.memfd_create("authority")
        if self._file is not None and tls.authority is not None:
            os.write(self._file, tls.authority.encode())
        self._mode = tls.mode

    def parameters(self) -> dict[str, str]:
        # GSS encryption would take precedence over TLS and skip the certificate.
        parameters = {"sslmode": self._mode.value, "gssencmode": "disable"}
        if self._file is not None:
            return {**parameters, "sslrootcert": f"/proc/self/fd/{self._file}"}
        if self._mode is TlsMode.VERIFY_FULL:
            # The OpenSSL in psycopg's wheel does not know the path of the system's authorities.
            return {**parameters, "sslrootcert": ssl.get_default_verify_paths().cafile or "system"}
        return parameters

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def explained(error: RolevendError, address: Address) -> RolevendError:
    """Return the error; for a certificate error with the reason."""
    why = _distrust(address) if type(error) is UntrustedServer and "verify failed" in str(error) else ""
    return UntrustedServer(f"{error}: {why}") if why else error


def _distrust(address: Address) -> str:
    """Return OpenSSL's reason from a second connection; empty if there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = address.tls.mode is TlsMode.VERIFY_FULL
    try:
        if address.tls.authority is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cadata=address.tls.authority)
        with socket.create_connection((address.host, address.port), _SECONDS) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) == b"S":
                context.wrap_socket(plain, server_hostname=address.host).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError:
        return ""
    return ""
