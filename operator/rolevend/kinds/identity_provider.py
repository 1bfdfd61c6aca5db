"""The kind IdentityProvider: whose tokens are believed, which of them, and what is taken from their claims."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.part import Atomic, Distinct, KeyedBy, Part, Rule, exactly_one
from rolevend.kinds.shared import Resource, SecretKeyRef, Status
from rolevend.kinds.text import ClaimName, Condition, Count, Issuer, Key, KeySetText, PlainText, TokenSeconds

AlgorithmName = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
TokenTypeName = Literal["AccessToken", "UntypedAccessToken", "Exchanged", "IdToken", "ServiceAccount"]
Path = Annotated[tuple[ClaimName, ...], Field(min_length=1, max_length=8), Atomic()]


class IssuerKeys(Part):
    """Where the issuer's public keys are."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one("source of keys", "inline", "url", "discovery"),
        Rule(
            cel="!has(self.caSecretRef) || has(self.url) || (has(self.discovery) && self.discovery == 'OpenIDConnect')",
            message="caSecretRef must not be set where nobody is asked for keys whose certificate is not trusted already",
            holds=lambda keys: keys.ca_secret_ref is None or keys.url is not None or keys.discovery == "OpenIDConnect",
            field="caSecretRef",
        ),
    )

    inline: KeySetText | None = None
    """The key set itself (RFC 7517, JSON), where nobody can or should be asked. Whoever rotates the keys changes this, too."""
    url: PlainText | None = None
    """Where the key set is: an `https://` URL. It is read every five minutes; what was read before holds while it does not answer."""
    discovery: Literal["OpenIDConnect", "Kubernetes"] | None = None
    """`OpenIDConnect`: the issuer itself says where its keys are, below `/.well-known/openid-configuration`. `Kubernetes`: the issuer is
    this cluster, whose API server says its keys to the operator, and not to everybody. For tokens of ServiceAccounts alone."""
    ca_secret_ref: SecretKeyRef | None = None
    """The only authorities that may vouch for these servers, in PEM, in a Secret in the operator's namespace. Without it: those that the
    operator's system trusts."""


class ClaimPath(Part):
    """A claim by its name, or by the names that lead to it."""

    path: Path
    """`[sub]`; `[realm_access, roles]` is the member `roles` of the claim `realm_access`."""


class ClaimSource(Part):
    """One claim, or an expression over all of them."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("source", "path", "expression"),)

    path: Path | None = None
    """As of `subject`. The claim is a text, a number, true or false, or a list of them."""
    expression: Condition | None = None
    """In CEL over `claims`: `claims.groups.filter(one, one.startsWith('data-'))`. At most one loop. A claim that is not there gives
    nothing; what has no answer counts as unreadable, and nothing is vended where a policy asks for it."""


class MappedAttribute(ClaimSource):
    """An attribute of the user, from a claim."""

    key: Key
    """Its key, as policies name it."""


class Claims(Part):
    """What is taken from the claims of a person's token."""

    subject: ClaimPath | None = None
    """Who the person is: `spec.user.subject` of a VendedRole, and of UserAttributes. Choose a claim that is never given to somebody else.
    Without it: `sub`."""
    client: ClaimPath | None = None
    """What names the client that a token was issued to, where the issuer says it in neither `azp` nor `client_id`: `[cid]`. It must be
    there then, and say the same as these, as far as they are there."""
    handle: ClaimSource | None = None
    """What names the person in role names where no UserAttributes do: 1 to 11 characters of A-Z and 0-9. Everybody with a login on the
    platform can read it. Without it, and where it gives something else: an opaque one."""
    attributes: Annotated[tuple[MappedAttribute, ...], Field(max_length=64), KeyedBy(("key",))] = ()
    """Attributes of the user. What the token says of a key takes the place of what UserAttributes say of it."""


class IdentityProviderSpec(Part):
    """An issuer of tokens, and what is believed of it."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!('ServiceAccount' in self.accepts) || self.accepts.size() == 1",
            message="a cluster issues tokens of ServiceAccounts alone: leave the other types out",
            holds=lambda spec: "ServiceAccount" not in spec.accepts or len(spec.accepts) == 1,
            field="accepts",
        ),
        Rule(
            cel="!('UntypedAccessToken' in self.accepts) || !('IdToken' in self.accepts)",
            message="UntypedAccessToken and IdToken look alike: accept one of them",
            holds=lambda spec: not {"UntypedAccessToken", "IdToken"} <= set(spec.accepts),
            field="accepts",
        ),
        Rule(
            cel="!has(self.keys.discovery) || self.keys.discovery != 'Kubernetes' || self.accepts == ['ServiceAccount']",
            message="this cluster's keys sign tokens of ServiceAccounts alone: set accepts to [ServiceAccount]",
            holds=lambda spec: spec.keys.discovery != "Kubernetes" or spec.accepts == ("ServiceAccount",),
            field="accepts",
        ),
    )

    issuer: Issuer
    """As in the `iss` of its tokens, and compared as it is written. One accepted IdentityProvider has it."""
    keys: IssuerKeys
    audiences: Annotated[tuple[PlainText, ...], Field(min_length=1, max_length=16), Distinct()]
    """Who we are to it: the `aud` of a token must name one of them. An ID token names its own client instead."""
    algorithms: Annotated[tuple[AlgorithmName, ...], Field(min_length=1, max_length=10), Distinct()] = ("RS256",)
    """The only ones that its signatures may have."""
    accepts: Annotated[tuple[TokenTypeName, ...], Field(min_length=1, max_length=4), Distinct()] = ("AccessToken", "Exchanged")
    """The only types of tokens that are taken from it. `AccessToken`: RFC 9068, issued to the agent's client. `UntypedAccessToken`: the
    same of an issuer whose headers do not say `at+jwt`; refused where it could be an ID token. `Exchanged`: RFC 8693, whose `act` names
    the agent. `IdToken`: for the agent's own client. `ServiceAccount`: of pods of this cluster, and then no other."""
    max_token_seconds: TokenSeconds | None = None
    """Tokens that were issued longer ago are refused, also those that live on. Without it: their `exp` alone decides."""
    claims: Claims = Claims()


class IdentityProviderStatus(Status):
    """What the operator saw. Not written by people."""

    key_count: Count | None = None
    """How many keys its tokens are checked with now."""


class IdentityProvider(Resource):
    """An issuer whose tokens prove who a person is. Written by security: whoever can write it can be anybody."""

    kind: Literal["IdentityProvider"] = "IdentityProvider"
    spec: IdentityProviderSpec
    status: IdentityProviderStatus = IdentityProviderStatus()
