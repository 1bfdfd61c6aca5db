"""Configure the token check from IdentityProviders: their issuers, the CA certificates in their Secrets, and the state of their keys."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from rolevend.errors import RolevendError
from rolevend.identity.key_store import REFRESH_SECONDS, KeyStore
from rolevend.identity.provider import Discovery, KeysUrl, Provider
from rolevend.identity.token_check import TokenCheck
from rolevend.kinds import IdentityProvider
from rolevend.kinds.text import timestamp_text
from rolevend.kube.certificate_authorities import authority
from rolevend.kube.client import KubeClient
from rolevend.snapshot.identity_providers import KeysState

POLL_SECONDS: Final = 15.0
"""Seconds until a changed Secret is read, and until a condition reports stale keys."""
_STALE: Final = timedelta(seconds=2 * REFRESH_SECONDS)

_log = logging.getLogger(__name__)


class IssuerController:
    def __init__(
        self,
        cluster: KubeClient,
        namespace: str,
        check: TokenCheck,
        keys: KeyStore,
        changed: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        """`namespace` is the operator's own. `changed` is called if `states` may differ."""
        self.states: dict[str, KeysState] = {}
        """By name of the IdentityProvider."""
        self._cluster = cluster
        self._namespace = namespace
        self._check = check
        self._keys = keys
        self._changed = changed
        self._now = now
        self._accepted: Mapping[str, tuple[IdentityProvider, Provider]] = {}
        self._authorities: dict[str, str] = {}
        """By issuer: the last readable content of its Secret."""
        self._problems: dict[str, str] = {}
        """By issuer: the reason why its Secret cannot be read."""
        self._followed: Mapping[str, Provider] = {}
        self._wake = asyncio.Event()

    @property
    def up(self) -> dict[str, bool]:
        """True for each IdentityProvider, by name, whose tokens are checked with fresh keys."""
        return {name: state.up for name, state in self.states.items()}

    def sync(self, accepted: Mapping[str, tuple[IdentityProvider, Provider]]) -> None:
        """Accept tokens of these issuers only. An issuer with its own CA certificates is accepted when these are read."""
        same = {issuer for issuer, (resource, _) in accepted.items() if self._refers_to(issuer) == resource.spec.keys.ca_secret_ref}
        self._accepted = accepted
        self._authorities = {issuer: text for issuer, text in self._authorities.items() if issuer in same}
        self._problems = {issuer: problem for issuer, problem in self._problems.items() if issuer in same}
        self._hand_over()
        if any(issuer not in same for issuer in accepted):
            self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._keys.run())
            parts.create_task(self._follow_secrets())
            while True:
                self._keys.news.clear()
                self._publish_states()
                await self._keys.news.wait()  # at most until the next read of the Secrets

    async def _follow_secrets(self) -> None:
        while True:
            self._wake.clear()
            for issuer, (resource, _) in list(self._accepted.items()):
                await self._read_authority(issuer, resource)
            self._hand_over()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()

    async def _read_authority(self, issuer: str, resource: IdentityProvider) -> None:
        ref = resource.spec.keys.ca_secret_ref
        if ref is None:
            return
        try:
            found = await authority(self._cluster, self._namespace, ref.name, ref.key, "spec.keys.caSecretRef", self._now())
        except RolevendError as error:
            _log.warning("cannot read the CA certificates of an identity provider: %s", error, extra={"object": resource.name})
            self._problems[issuer] = str(error)
            return
        self._problems.pop(issuer, None)
        self._authorities[issuer] = found.certificates

    def _hand_over(self) -> None:
        """Update the token check. No issuer is contacted with other CA certificates than its object names."""
        providers = {
            issuer: provider if resource.spec.keys.ca_secret_ref is None else _trusting(provider, self._authorities[issuer])
            for issuer, (resource, provider) in self._accepted.items()
            if resource.spec.keys.ca_secret_ref is None or issuer in self._authorities
        }
        if providers != self._followed:
            self._followed = providers
            self._check.follow(providers)
        self._keys.news.set()  # `states` also has the issuers and the errors of their Secrets

    def _refers_to(self, issuer: str) -> object:
        known = self._accepted.get(issuer)
        return known[0].spec.keys.ca_secret_ref if known else None

    def _publish_states(self) -> None:
        states = {resource.name: self._state(issuer) for issuer, (resource, _) in self._accepted.items()}
        if states != self.states:
            self.states.clear()
            self.states.update(states)
            self._changed()

    def _state(self, issuer: str) -> KeysState:
        known = self._keys.known.get(issuer)
        problem = self._problems.get(issuer) or self._keys.problems.get(issuer, "")
        if known is None:
            return KeysState(0, problem)
        read_at = known.read_at
        stale = timestamp_text(read_at) if problem and read_at is not None and self._now() - read_at > _STALE else ""
        return KeysState(len(known.keys.keys), problem, stale)


def _trusting(provider: Provider, authorities: str) -> Provider:
    keys = provider.keys
    return replace(provider, keys=replace(keys, authorities=authorities)) if isinstance(keys, KeysUrl | Discovery) else provider
