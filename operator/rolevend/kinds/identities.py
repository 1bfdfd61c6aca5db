"""Convert the identity of an agent, and the place of a user's token, from parsed objects to values. Pure."""

from rolevend.decision.proof import ClientIdentity, Identity, Presented, ServiceAccountIdentity, UserToken
from rolevend.kinds.agent import Agent
from rolevend.kinds.vended_role import VendedRole


def user_token(role: VendedRole) -> UserToken | Presented | None:
    """Return the place of the user's token, or None."""
    if role.spec.delivery == "Response" and role.status.user is not None and role.status.user.token is not None:
        return Presented()
    ref = role.spec.user_token_secret_ref
    return None if ref is None else UserToken(ref.name, ref.key)


def agent_identity(agent: Agent) -> Identity | None:
    """Return the identity that a user's token must name, or None. Parsing has verified that the part for its type is set."""
    spelled_out = agent.spec.identity
    if spelled_out is None:
        return None
    if spelled_out.service_account is not None:
        return ServiceAccountIdentity(spelled_out.service_account.name)
    client = spelled_out.oidc_client
    return None if client is None else ClientIdentity(client.issuer, frozenset(client.client_ids), client.subject or client.client_ids[0])


def agent_claims(agent: Agent) -> tuple[tuple[str, object], ...]:
    """Return the unique values of an agent, each with its field."""
    match agent_identity(agent):
        case ServiceAccountIdentity(name):
            named: tuple[object, ...] = ((None, agent.namespace, name),)
        case ClientIdentity(issuer, client_ids, subject):
            named = tuple((issuer, each) for each in sorted(client_ids | {subject}))
        case None:
            named = ()
    return (("spec.handle", agent.spec.handle), *(("spec.identity", each) for each in named))
