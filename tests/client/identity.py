"""A real OpenID Connect provider with three people, a client that they use, and the MCP server's own client; and who its tokens are for."""

from typing import Any

import jwt

from testbed.identity_provider import AUDIENCE, IdentityProvider
from testbed.oidc.registry import Client, Person

SERVER = "mcp-server"
EDITOR = "editor"
"""What people use: an MCP client."""
OTHER = "other-tool"


def provider(url: str, **claims: Any) -> IdentityProvider:
    """`url` is the MCP server's: tokens can be for it. Tokens say `claims` of all people."""
    people = [Person(name, claims) for name in ("anna", "bob", "eve")]
    clients = [Client(SERVER, resources=(url,), authorization_server=url.removesuffix("/mcp")), Client(EDITOR), Client(OTHER)]
    return IdentityProvider(people=people, clients=clients, audiences=(AUDIENCE, "https://elsewhere.example.org"))


class Believing:
    """Whom a token proves to the API, as rolevend checks it: one of the provider, for rolevend, in which the server acts, and once."""

    def __init__(self, issuer: IdentityProvider) -> None:
        self._issuer = issuer
        self.seen: list[dict[str, Any]] = []

    def __call__(self, token: str) -> str:
        """The person; what is no such token is returned as it is, and nothing is granted to it."""
        keys = jwt.PyJWKSet.from_dict(self._issuer.tokens.call("GET", f"{self._issuer.issuer}/keys").json)
        try:
            kid = jwt.get_unverified_header(token)["kid"]
            claims = jwt.decode(token, keys[kid], algorithms=["RS256"], audience=AUDIENCE, issuer=self._issuer.issuer)
        except jwt.PyJWTError as error:
            return f"nobody: {type(error).__name__}"
        if claims.get("act") != {"iss": self._issuer.issuer, "sub": SERVER}:
            return "nobody: another acts"
        if claims["jti"] in {each["jti"] for each in self.seen}:
            return "used"
        self.seen.append(claims)
        return str(claims["sub"])
