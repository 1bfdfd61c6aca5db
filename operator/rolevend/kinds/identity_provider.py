"""The kind IdentityProvider: an issuer of tokens, the accepted types of tokens, and the mapping of claims."""

import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from rolevend.kinds.part import Atomic, Distinct, KeyedBy, Part, Rule, exactly_one
from rolevend.kinds.scim import Scim
from rolevend.kinds.shared import Resource, SecretKeyRef, Status
from rolevend.kinds.signals import Signals
from rolevend.kinds.text import (
    ClaimName,
    Condition,
    Count,
    Issuer,
    Key,
    KeySetText,
    ObjectReferenceName,
    PlainText,
    SecretKey,
    Subject,
    TokenSeconds,
    UsernamePrefixText,
)

AlgorithmName = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
TokenTypeName = Literal["AccessToken", "UntypedAccessToken", "Exchanged", "IdToken", "ServiceAccount"]
_ORIGIN: Final = re.compile(r"https://[^/?#@]+|http://(127[.]0[.]0[.]1|localhost)(:[0-9]+)?")
Path = Annotated[tuple[ClaimName, ...], Field(min_length=1, max_length=8), Atomic()]


class IssuerKeys(Part):
    """The source of the issuer's public keys."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one("source of keys", "inline", "url", "discovery"),
        Rule(
            cel="!has(self.caSecretRef) || has(self.url) || (has(self.discovery) && self.discovery == 'OpenIDConnect')",
            message="caSecretRef must be set only with url or discovery: OpenIDConnect",
            holds=lambda keys: keys.ca_secret_ref is None or keys.url is not None or keys.discovery == "OpenIDConnect",
            field="caSecretRef",
        ),
    )

    inline: KeySetText | None = None
    """The key set itself (RFC 7517, JSON), if the issuer cannot be contacted. Update it when the keys are rotated."""
    url: PlainText | None = None
    """The URL of the key set, `https://`. It is read every five minutes; the last keys are used while it does not answer."""
    discovery: Literal["OpenIDConnect", "Kubernetes"] | None = None
    """`OpenIDConnect`: from the issuer's document `/.well-known/openid-configuration`. `Kubernetes`: the issuer is this cluster, and its
    API server returns the keys to the operator. For tokens of ServiceAccounts only."""
    ca_secret_ref: SecretKeyRef | None = None
    """The only authorities that are trusted for these servers, in PEM, in a Secret in the operator's namespace. Without it: those that
    the operator's system trusts."""


class ClaimPath(Part):
    """A claim by its name, or by the path to it."""

    path: Path
    """`[sub]`; `[realm_access, roles]` is the member `roles` of the claim `realm_access`."""


class ClaimSource(Part):
    """One claim, or an expression over all of them."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("source", "path", "expression"),)

    path: Path | None = None
    """As in `subject`. The claim is a text, a number, a boolean, or a list of them."""
    expression: Condition | None = None
    """In CEL over `claims`: `claims.groups.filter(one, one.startsWith('data-'))`. At most one loop. A missing claim gives no value; an
    expression that cannot be evaluated is unreadable, and nothing is vended if a policy reads the attribute."""


class MappedAttribute(ClaimSource):
    """An attribute of the user, from a claim."""

    key: Key
    """Its key in policies."""


class Claims(Part):
    """The mapping of the claims of a user's token."""

    subject: ClaimPath | None = None
    """The user's subject: `spec.user.subject` of a VendedRole, and of UserAttributes. Choose a claim whose values are never reused for
    another person. Without it: `sub`."""
    client: ClaimPath | None = None
    """The client that the token was issued to, if the issuer sets neither `azp` nor `client_id`: `[cid]`. It is then required, and must
    agree with these if they are set."""
    handle: ClaimSource | None = None
    """The user's part of role names, if no UserAttributes set it: 1 to 11 characters of A-Z and 0-9. Everybody with a login on the
    platform can read it. Without it, and if the value is malformed: an opaque one."""
    attributes: Annotated[tuple[MappedAttribute, ...], Field(max_length=64), KeyedBy(("key",))] = ()
    """Attributes of the user. The token's values of a key replace those of UserAttributes."""


class KubernetesUsername(Part):
    """The names of this issuer's users in this cluster, as its API server is configured to form them."""

    attribute: Key
    """The attribute of the user, from `claims.attributes` or UserAttributes, with the values of the claim that the API server reads
    (`--oidc-username-claim`)."""
    prefix: UsernamePrefixText = ""
    """The prefix that the API server puts before them (`--oidc-username-prefix`)."""


class ClientSecretRef(Part):
    """A key of a Secret in the operator's namespace."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.key.startsWith('client-secret')",
            message="must begin with client-secret: the value is sent to the issuer, and no other key may be",
            holds=lambda ref: ref.key.startswith("client-secret"),
            field="key",
        ),
    )

    name: ObjectReferenceName
    """Name of the Secret. List it in `api.secretNames` of the chart."""
    key: SecretKey = "client-secret"
    """The key in it; begins with `client-secret`. Its value is sent to the issuer, so no key of another Secret of rolevend fits."""


class PersonLogin(Part):
    """The login of people on rolevend's own page, by OpenID Connect: authorization code with PKCE."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.url.matches('^https://[^/?#@]+$') || self.url.matches('^http://(127[.]0[.]0[.]1|localhost)(:[0-9]+)?$')",
            message="must be https:// and a host, without a path; http:// to this machine alone",
            holds=lambda login: _ORIGIN.fullmatch(login.url) is not None,
            field="url",
        ),
    )

    url: PlainText
    """The address of the API in the browsers of people, `https://` and a host. Register `URL/confirm/callback` as the redirect URI of the
    client."""
    client_id: Annotated[Subject, Field(alias="clientID")]
    """The client id of rolevend at the issuer: a client of its own, and no agent's."""
    client_secret_ref: ClientSecretRef | None = None
    """The secret of the client. Without it: a public client."""


class IdentityProviderSpec(Part):
    """An issuer of tokens, and the accepted tokens."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!('ServiceAccount' in self.accepts) || self.accepts.size() == 1",
            message="a cluster issues only tokens of ServiceAccounts: remove the other types",
            holds=lambda spec: "ServiceAccount" not in spec.accepts or len(spec.accepts) == 1,
            field="accepts",
        ),
        Rule(
            cel="!('UntypedAccessToken' in self.accepts) || !('IdToken' in self.accepts)",
            message="UntypedAccessToken and IdToken cannot be distinguished: accept one of them",
            holds=lambda spec: not {"UntypedAccessToken", "IdToken"} <= set(spec.accepts),
            field="accepts",
        ),
        Rule(
            cel="!has(self.keys.discovery) || self.keys.discovery != 'Kubernetes' || self.accepts == ['ServiceAccount']",
            message="this cluster's keys sign only tokens of ServiceAccounts: set accepts to [ServiceAccount]",
            holds=lambda spec: spec.keys.discovery != "Kubernetes" or spec.accepts == ("ServiceAccount",),
            field="accepts",
        ),
        Rule(
            cel="!has(self.login) || (has(self.keys.discovery) && self.keys.discovery == 'OpenIDConnect')",
            message="login needs keys.discovery: OpenIDConnect, because the issuer's document names where people log in",
            holds=lambda spec: spec.login is None or spec.keys.discovery == "OpenIDConnect",
            field="login",
        ),
        Rule(
            cel="!has(self.signals) || !('ServiceAccount' in self.accepts)",
            message="a cluster sends no signals: remove signals",
            holds=lambda spec: spec.signals is None or "ServiceAccount" not in spec.accepts,
            field="signals",
        ),
    )

    issuer: Issuer
    """As in the `iss` of its tokens, compared literally. Unique among accepted IdentityProviders."""
    keys: IssuerKeys
    audiences: Annotated[tuple[PlainText, ...], Field(min_length=1, max_length=16), Distinct()]
    """The audiences of rolevend: the `aud` of a token must have one of them. An ID token has its own client instead."""
    algorithms: Annotated[tuple[AlgorithmName, ...], Field(min_length=1, max_length=10), Distinct()] = ("RS256",)
    """The only accepted signature algorithms."""
    accepts: Annotated[tuple[TokenTypeName, ...], Field(min_length=1, max_length=4), Distinct()] = ("AccessToken", "Exchanged")
    """The only accepted types of tokens. `AccessToken`: RFC 9068, issued to the agent's client. `UntypedAccessToken`: the same without
    `at+jwt` in the header; refused if it could be an ID token. `Exchanged`: RFC 8693, whose `act` names the agent. `IdToken`: for the
    agent's own client. `ServiceAccount`: of pods of this cluster, and then no other."""
    max_token_seconds: TokenSeconds | None = None
    """Maximum age of a token since it was issued, even if it has not expired. Without it: only `exp` limits a token."""
    claims: Claims = Claims()
    kubernetes_username: KubernetesUsername | None = None
    """How people who log in with this issuer are named in Kubernetes. A user approves no request for themselves, also under this name.
    Without it: a user is known there by the subject alone."""
    login: PersonLogin | None = None
    """The login of people, who then confirm on rolevend's page what an agent asks for. Without it: offers that ask for a justification of
    the user are refused."""
    scim: Scim | None = None
    """Users and groups that the identity provider pushes, where `api.scim` of the chart is `true`. Without it: none are accepted."""
    signals: Signals | None = None
    """Security events that end roles, where `api.signals` of the chart is `true`. Without it: none are accepted."""


class IdentityProviderStatus(Status):
    """The state that the operator observed. Not written by people."""

    key_count: Count | None = None
    """Number of keys that check its tokens."""


class IdentityProvider(Resource):
    """An issuer whose tokens prove the identity of users. Written by security: an account that can write it can impersonate every user."""

    kind: Literal["IdentityProvider"] = "IdentityProvider"
    spec: IdentityProviderSpec
    status: IdentityProviderStatus = IdentityProviderStatus()
