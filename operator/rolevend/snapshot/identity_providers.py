"""Parse IdentityProviders once, compare them, and build the providers for the token check. Pure."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from rolevend.decision.person_login import PersonLogin
from rolevend.decision.snapshot_inputs import KubernetesUsername
from rolevend.errors import InvalidInput
from rolevend.identity import claim_expression
from rolevend.identity.claim_mapping import ClaimMapping, ClaimPath, ClaimSource
from rolevend.identity.provider import (
    Algorithm,
    ClusterKeys,
    Discovery,
    InlineKeys,
    KeySource,
    KeysUrl,
    Provider,
    SignalTerms,
    TokenType,
    admit,
)
from rolevend.kinds import IdentityProvider
from rolevend.kinds import identity_provider as spelled
from rolevend.kinds.signals import Signals
from rolevend.kinds.status import ConditionUpdate
from rolevend.snapshot.conditions.common import StatusEvaluation, by_age

_REACH: Final = "See that the operator can reach the issuer"
_COMPARE: Final = "See what `kubectl get --raw /.well-known/openid-configuration` says"


@dataclass(frozen=True, slots=True)
class KeysState:
    """The state of an issuer's keys."""

    count: int = 0
    """Number of keys that check its tokens."""
    problem: str = ""
    """The reason of the last failed read, or empty."""
    stale: str = ""
    """The time since which the keys cannot be read, if they are too old to be used; otherwise empty."""

    @property
    def up(self) -> bool:
        """True if there are keys, and they are not too old."""
        return bool(self.count) and not self.stale


class IdentityProviderCache:
    """Cache of parsed IdentityProviders. Each version is parsed once: CEL is compiled, and keys are parsed."""

    def __init__(self) -> None:
        self.evaluations: Sequence[StatusEvaluation[IdentityProvider]] = ()
        self.accepted: Mapping[str, tuple[IdentityProvider, Provider]] = {}
        """By issuer, without the CA certificates in Secrets."""
        self._read: dict[str, tuple[int, Provider | InvalidInput]] = {}

    def update(self, resources: Iterable[IdentityProvider], states: Mapping[str, KeysState]) -> None:
        """Evaluate all objects. `states` are by name of the object."""
        accepted: dict[str, tuple[IdentityProvider, Provider]] = {}
        judged, read = [], {}
        for resource in sorted(resources, key=by_age):
            known = self._read.get(resource.uid)
            if known is None or known[0] != resource.generation:
                known = (resource.generation, _tried(resource))
            read[resource.uid] = known
            provider = known[1]
            refusal = _invalid(provider) if isinstance(provider, InvalidInput) else _clash(provider, accepted)
            if refusal is None and isinstance(provider, Provider):
                accepted[provider.issuer] = (resource, provider)
            judged.append((resource, refusal))
        self.evaluations = [_evaluated(each, refusal, states.get(each.name, KeysState()), accepted) for each, refusal in judged]
        self.accepted, self._read = accepted, read


def provider_of(resource: IdentityProvider, authorities: str | None = None) -> Provider:
    """Return the provider. Raises InvalidInput, which names the field. `authorities` is the content of its `caSecretRef`, if it has one."""
    spec = resource.spec
    longest = spec.max_token_seconds
    if spec.keys.inline is not None:
        from rolevend.identity import key_set  # needs joserfc, which offline checks of files do not install

        key_set.parse(spec.keys.inline.encode(), "spec.keys.inline")
    return admit(
        Provider(
            name=resource.name,
            issuer=spec.issuer,
            audiences=frozenset(spec.audiences),
            algorithms=frozenset(map(Algorithm, spec.algorithms)),
            accepts=frozenset(map(TokenType, spec.accepts)),
            keys=_keys(spec.keys, authorities),
            mapping=_mapping(spec.claims),
            maximum_life=None if longest is None else timedelta(seconds=longest),
            signals=None if spec.signals is None else SignalTerms(spec.signals.audience, spec.signals.user_issuer or spec.issuer),
        )
    )


def _tried(resource: IdentityProvider) -> Provider | InvalidInput:
    try:
        return provider_of(resource)
    except InvalidInput as error:
        return error


def _keys(keys: spelled.IssuerKeys, authorities: str | None) -> KeySource:
    if keys.inline is not None:
        return InlineKeys(keys.inline)
    if keys.url is not None:
        return KeysUrl(keys.url, authorities)
    return ClusterKeys() if keys.discovery == "Kubernetes" else Discovery(authorities)


def _mapping(claims: spelled.Claims) -> ClaimMapping:
    return ClaimMapping(
        subject=ClaimMapping().subject if claims.subject is None else ClaimPath(claims.subject.path),
        client=None if claims.client is None else ClaimPath(claims.client.path),
        handle=None if claims.handle is None else _source(claims.handle, "spec.claims.handle"),
        attributes=tuple((each.key, _source(each, f"spec.claims.attributes[{place}]")) for place, each in enumerate(claims.attributes)),
    )


def _source(source: spelled.ClaimSource, place: str) -> ClaimSource:
    if source.expression is not None:
        return claim_expression.admit(source.expression, f"{place}.expression")
    return ClaimPath(source.path or ())


def _invalid(error: InvalidInput) -> ConditionUpdate:
    return ConditionUpdate("Accepted", "False", "InvalidInput", str(error))


def _clash(provider: Provider, accepted: Mapping[str, tuple[IdentityProvider, Provider]]) -> ConditionUpdate | None:
    """Return the conflict with an older object: an issuer has one key set, and a cluster one issuer."""
    if provider.issuer in accepted:
        older, _ = accepted[provider.issuer]
        return ConditionUpdate(
            "Accepted", "False", "IssuerConflict", f"spec.issuer: IdentityProvider {older.name} has it already; keep one of them"
        )
    if TokenType.SERVICE_ACCOUNT not in provider.accepts:
        return None
    cluster = cluster_issuer(accepted)
    if not cluster:
        return None
    cause = f"IdentityProvider {accepted[cluster][0].name} is this cluster's already, and a cluster has one issuer; keep one of them"
    return ConditionUpdate("Accepted", "False", "IssuerConflict", f"spec.accepts: {cause}")


def cluster_issuer(accepted: Mapping[str, tuple[IdentityProvider, Provider]]) -> str:
    """Return the issuer of ServiceAccount tokens, or empty."""
    return next((issuer for issuer, (_, provider) in accepted.items() if TokenType.SERVICE_ACCOUNT in provider.accepts), "")


def usernames(accepted: Mapping[str, tuple[IdentityProvider, Provider]]) -> Mapping[str, KubernetesUsername]:
    """Return how the users of each issuer are named in Kubernetes, if the object says so."""
    named = ((issuer, resource.spec.kubernetes_username) for issuer, (resource, _) in accepted.items())
    return {issuer: KubernetesUsername(each.attribute, each.prefix) for issuer, each in named if each is not None}


def logins(accepted: Mapping[str, tuple[IdentityProvider, Provider]]) -> Mapping[str, PersonLogin]:
    """Return the logins of people, by issuer."""
    return {issuer: _login(resource.spec.login) for issuer, (resource, _) in accepted.items() if resource.spec.login is not None}


def _login(login: spelled.PersonLogin) -> PersonLogin:
    secret = login.client_secret_ref
    return PersonLogin(login.url, login.client_id, None if secret is None else (secret.name, secret.key))


def _evaluated(
    resource: IdentityProvider, refusal: ConditionUpdate | None, state: KeysState, issuers: Container[str]
) -> StatusEvaluation[IdentityProvider]:
    if refusal is not None:
        return StatusEvaluation(resource, (refusal, ConditionUpdate("Ready", "False", refusal.reason, refusal.message)), {"keyCount": 0})
    accepted = ConditionUpdate("Accepted", "True", "Valid", "tokens of this issuer are checked")
    findings = (accepted, _ready(state, resource.spec.keys), *_receives_signals(resource.spec.signals, issuers))
    return StatusEvaluation(resource, findings, {"keyCount": state.count})


def _receives_signals(signals: Signals | None, issuers: Container[str]) -> tuple[ConditionUpdate, ...]:
    if signals is None:
        return ()
    if signals.user_issuer is not None and signals.user_issuer not in issuers:
        cause = "no accepted IdentityProvider has this issuer, so events end nothing of users whom tokens prove; compare the two"
        return (ConditionUpdate("ReceivesSignals", "False", "UserIssuerUnknown", f"spec.signals.userIssuer: {cause}"),)
    return (ConditionUpdate("ReceivesSignals", "True", "Valid", "security events end roles, where api.signals of the chart is true"),)


def _ready(state: KeysState, keys: spelled.IssuerKeys) -> ConditionUpdate:
    way_out = _COMPARE if keys.discovery == "Kubernetes" else _REACH
    if not state.count:
        if state.problem:
            return ConditionUpdate(
                "Ready",
                "False",
                "KeysUnread",
                f"{state.problem}. Until then no token of it proves anybody. {way_out}, or give its keys inline",
            )
        return ConditionUpdate("Ready", "Unknown", "KeysUnread", "its keys were not read yet")
    if state.stale:
        cause = f"its keys could not be read since {state.stale}: {state.problem}. The last keys are used for a day"
        return ConditionUpdate("Ready", "False", "KeysStale", f"{cause}; a new key is unknown. {way_out}")
    return ConditionUpdate(
        "Ready", "True", "KeysRead", f"its tokens are checked with {state.count} {'key' if state.count == 1 else 'keys'}"
    )
