"""Authenticate the identity provider that pushes: by the bearer token in a Secret, or by an access token of a client that it names."""

import hmac
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from rolevend.api.authenticator import BEARER
from rolevend.api.refusals import RefusalLog
from rolevend.api.scim.failures import ScimRefusal
from rolevend.api.scim.schemas import Kept
from rolevend.api.scim.users import ScimCaller
from rolevend.audit.api_events import Bearer, RefusedCall
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import IdentityProviderUnavailable, InvalidInput, NotPermitted
from rolevend.identity.compact import digest
from rolevend.identity.proven import AgentWanted, OwnSubject, Party
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.token_check import TokenCheck
from rolevend.kinds import IdentityProvider
from rolevend.kinds.scim import ScimTokenRef
from rolevend.kube.client import KubeClient
from rolevend.kube.secrets import read_secret, text_of
from rolevend.snapshot.controller import SnapshotController

_SCHEME: Final = "bearer "
_SHORTEST: Final = 32
_MOST_TOKENS: Final = 2
_SECONDS: Final = 5.0
"""A changed Secret counts after this time."""
_FIELD: Final = "spec.scim.tokenSecretRef"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    at: float
    digests: tuple[bytes, ...]


class ScimAuthenticator:
    def __init__(
        self,
        check: TokenCheck,
        cluster: KubeClient,
        namespace: str,
        observed: SnapshotController,
        refusals: RefusalLog,
        moment: Callable[[], float],
    ) -> None:
        """`namespace` is the operator's own. `moment` is a monotonic clock, in seconds."""
        self._check = check
        self._cluster = cluster
        self._namespace = namespace
        self._observed = observed
        self._refusals = refusals
        self._moment = moment
        self._tokens: dict[ScimTokenRef, _Read] = {}

    async def caller(self, authorization: list[str], request_id: str) -> ScimCaller:
        """Return the IdentityProvider of the token. Raises ScimRefusal, and Unavailable if the token cannot be compared now."""
        snapshot = self._observed.snapshot
        if snapshot.pending:
            raise ScimRefusal(503, snapshot.pending, headers={"Retry-After": "1"})
        if len(authorization) != 1 or authorization[0][: len(_SCHEME)].lower() != _SCHEME:
            raise _unauthenticated("the token is missing: send one Authorization: Bearer <token>")
        token = authorization[0][len(_SCHEME) :].strip()
        provider = await self._of_secret(token) or await self._of_client(token, snapshot, request_id)
        scim = provider.spec.scim
        assert scim is not None  # noqa: S101 - only such providers are found
        return ScimCaller(provider.name, provider.spec.issuer, Kept(scim), request_id)

    def _providers(self) -> Iterator[IdentityProvider]:
        return (resource for resource, _ in self._observed.providers.values() if resource.spec.scim is not None)

    async def _of_secret(self, token: str) -> IdentityProvider | None:
        """Return the provider with this token, or None. Every token is compared, each in constant time."""
        given, found = sha256(token.encode(errors="replace")).digest(), None
        for provider in self._providers():
            ref = provider.spec.scim and provider.spec.scim.token_secret_ref
            for each in await self._digests(ref) if ref else ():
                if hmac.compare_digest(each, given):
                    found = provider
        return found

    async def _digests(self, ref: ScimTokenRef) -> tuple[bytes, ...]:
        known = self._tokens.get(ref)
        if known is None or known.at + _SECONDS <= self._moment():
            try:
                text = text_of(await read_secret(self._cluster, self._namespace, ref.name, _FIELD), ref.key) or ""
            except (InvalidInput, NotPermitted) as error:  # no token of this provider counts; those of others do
                _log.warning("cannot read the tokens of SCIM: %s", error)
                text = ""
            lines = [line.strip() for line in text.splitlines() if len(line.strip()) >= _SHORTEST][:_MOST_TOKENS]
            known = self._tokens[ref] = _Read(self._moment(), tuple(sha256(line.encode()).digest() for line in lines))
        return known.digests

    async def _of_client(self, token: str, snapshot: Snapshot, request_id: str) -> IdentityProvider:
        clients = {
            Party(provider.spec.issuer, each.client_id): (provider, each.subject)
            for provider in self._providers()
            for each in (provider.spec.scim and provider.spec.scim.clients) or ()
        }
        own = frozenset(OwnSubject(client, subject) for client, (_, subject) in clients.items() if subject is not None)
        try:
            proven = await self._check.agent(token, AgentWanted(own))
            known = None if proven.client is None else clients.get(proven.client)
            if known is None or proven.client is None:
                raise TokenRefused(Code.NOT_AUTHENTICATED, "the token is of no client that spec.scim.clients names")
            if (proven.client.issuer, proven.client.name) in snapshot.clients:
                raise TokenRefused(Code.NOT_AUTHENTICATED, "the token is an agent's, and no agent pushes users")
        except TokenRefused as error:
            if error.code is Code.STALE_KEYS:
                raise IdentityProviderUnavailable("the keys of the token's issuer were not read, or too long ago") from error
            await self._refusals.refused(RefusedCall(Bearer.SCIM, error.code, str(error), digest(token), None, request_id))
            raise _unauthenticated("the token is not accepted: see spec.scim of the IdentityProvider") from error
        return known[0]


def _unauthenticated(detail: str) -> ScimRefusal:
    return ScimRefusal(401, f"{BEARER}: {detail}", headers={"WWW-Authenticate": "Bearer"})
