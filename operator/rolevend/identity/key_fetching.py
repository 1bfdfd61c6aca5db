"""Read key sets over HTTP: authenticated and bounded, and only from the configured servers."""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, assert_never
from urllib.parse import urljoin, urlsplit

import aiohttp

from rolevend.errors import IdentityProviderUnavailable, InvalidInput
from rolevend.identity.egress_proxy import through_proxy
from rolevend.identity.key_set import MAXIMUM_BYTES
from rolevend.identity.provider import (
    MAXIMUM_ISSUER_LENGTH,
    ClusterKeys,
    Discovery,
    InlineKeys,
    KeysUrl,
    Provider,
    is_loopback,
    is_plain,
    is_secure,
)
from rolevend.identity.strict_json import NotJson, read_object

_REDIRECTS: Final = 3
_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_CLUSTER_KEYS: Final = "/openid/v1/jwks"
"""The path on every Kubernetes API server, independent of its discovery document."""
# No encoding, so that the bound applies to the decoded bytes.
_HEADERS: Final = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}


ReadCluster = Callable[[str], Awaitable[bytes]]
"""Reads a path of this cluster's API server with our credential. Raises an error of `rolevend.errors`."""


class KeyFetcher:
    """`read` is the `Read` of a `KeyStore`."""

    def __init__(self, seconds: float = 10.0, cluster: ReadCluster | None = None) -> None:
        """A read of all its steps takes at most `seconds` for each request. Without `cluster` a cluster's own keys cannot be read."""
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._cluster = cluster

    async def read(self, provider: Provider) -> bytes:
        """Read the key set. Raises IdentityProviderUnavailable, or InvalidInput if the provider's own document is invalid; and the
        errors of `cluster`."""
        match provider.keys:
            case InlineKeys(text):
                return text.encode()
            case KeysUrl(url, authorities):
                return await self._get(url, authorities)
            case Discovery(authorities):
                return await self._get(await self._discovered(provider, authorities), authorities)
            case ClusterKeys():
                return await self._of_cluster(provider.issuer)
        assert_never(provider.keys)

    async def discovery_document(self, issuer: str, authorities: str | None) -> bytes:
        """Read the issuer's discovery document, not checked yet. Raises IdentityProviderUnavailable."""
        return await self._get(issuer.removesuffix("/") + _WELL_KNOWN, authorities)

    async def _discovered(self, provider: Provider, authorities: str | None) -> str:
        return keys_url(await self.discovery_document(provider.issuer, authorities), provider.issuer)

    async def _of_cluster(self, issuer: str) -> bytes:
        if self._cluster is None:
            raise InvalidInput("", "no cluster is configured whose keys could be read")
        found = _document(await self._cluster(_WELL_KNOWN), "this cluster").get("issuer")
        if found != issuer:
            shown = found if isinstance(found, str) and is_plain(found, MAXIMUM_ISSUER_LENGTH) else "no plain text"
            raise InvalidInput("spec.issuer", f"this cluster's API server says that its issuer is {shown}")
        return await self._cluster(_CLUSTER_KEYS)

    async def _get(self, url: str, authorities: str | None) -> bytes:
        connector = aiohttp.TCPConnector(ssl=trust(authorities))
        async with aiohttp.ClientSession(connector=connector, timeout=self._timeout, headers=_HEADERS, auto_decompress=False) as session:
            try:
                for _ in range(_REDIRECTS + 1):
                    answer = await self._once(session, url)
                    if isinstance(answer, bytes):
                        return answer
                    url = answer.url
            except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
                raise IdentityProviderUnavailable(f"reading {url}: {str(error) or type(error).__name__}") from error
        raise IdentityProviderUnavailable(f"reading {url}: it leads on more than {_REDIRECTS} times")

    async def _once(self, session: aiohttp.ClientSession, url: str) -> "bytes | _Elsewhere":
        async with session.get(url, allow_redirects=False, **through_proxy(url)) as response:
            if response.status in (301, 302, 303, 307, 308):
                return _Elsewhere(_followed(url, response.headers.get("Location", "")))
            if response.status != 200:
                raise IdentityProviderUnavailable(f"reading {url}: it answers with status {response.status}")
            return await bounded(response, url)


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    url: str


def keys_url(document: bytes, issuer: str) -> str:
    """Return the URL of the keys in a discovery document. Raises InvalidInput if the document has another issuer."""
    return secure_url(discovered(document, issuer), issuer, "jwks_uri", "its keys")


def discovered(document: bytes, issuer: str) -> dict[str, Any]:
    """Return the members of a discovery document. Raises InvalidInput if it has another issuer."""
    members = _document(document, issuer)
    if members.get("issuer") != issuer:
        raise InvalidInput("", f"the discovery document of {issuer} has another issuer: spell the issuer exactly as in the document")
    return members


def secure_url(members: dict[str, Any], issuer: str, name: str, of: str) -> str:
    """Return a URL of a discovery document. Raises InvalidInput unless it is `https://`; `http://` for an issuer on this machine alone."""
    url = members.get(name)
    if not isinstance(url, str) or not is_secure(url) or (url.startswith("http:") and not is_loopback(issuer)):
        raise InvalidInput("", f"the discovery document of {issuer} names no https:// URL of {of}")
    return url


def _document(raw: bytes, issuer: str) -> dict[str, Any]:
    try:
        return read_object(raw)
    except NotJson as error:
        raise InvalidInput("", f"the discovery document of {issuer} cannot be read: {error}") from error


def _followed(url: str, location: str) -> str:
    """Follow a redirect only on the same server, because no other server is configured."""
    target = urljoin(url, location)
    if not location or not is_secure(target) or urlsplit(target)[:2] != urlsplit(url)[:2]:
        raise IdentityProviderUnavailable(f"reading {url}: it leads to another server; name the URL that it leads to")
    return target


async def bounded(response: aiohttp.ClientResponse, url: str) -> bytes:
    read = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        read += chunk
        if len(read) > MAXIMUM_BYTES:
            raise IdentityProviderUnavailable(f"reading {url}: it sends more than {MAXIMUM_BYTES} bytes")
    return bytes(read)


@lru_cache(maxsize=32)
def trust(authorities: str | None) -> ssl.SSLContext:
    """Return the same context for the same authorities: to make one takes a tenth of a second."""
    try:
        return ssl.create_default_context(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidInput("", "the authorities of an identity provider are no certificates in PEM") from error
