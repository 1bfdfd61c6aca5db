"""Cost of a token check, warm: `python -m bench.tokens [--quick]`, from the repository's root.

Compared with joserfc's own decoding with a given key, which checks only the signature, no claim. Both verify the same signature.
"""

import gc
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from bench.lines import Line, absolute, ms, p50, percentile, settled, table
from rolevend.identity.claim_expression import admit
from rolevend.identity.claim_mapping import ClaimMapping, ClaimPath
from rolevend.identity.key_set import KnownKeys, parse
from rolevend.identity.proven import AgentWanted, Party, UserWanted, Wanting
from rolevend.identity.provider import Provider, TokenType
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.verification import verify
from tests.support.tokens import (
    CLUSTER,
    CLUSTER_PROVIDER,
    ISSUER,
    PROVIDER,
    Body,
    claims,
    header,
    key,
    key_set,
    public,
    service_account_claims,
    token,
)

FULL, QUICK = 5_000, 500
_BUDGET = 0.0003
_RATIO = 2.5
_AGENT = Party(ISSUER, "finbot")
_FOR_AGENT = UserWanted(_AGENT, frozenset({_AGENT}))
_PEOPLES: dict[str, Any] = {"email": "anna@example.org", "groups": [f"group-{number}" for number in range(20)], "department": "claims"}
_MAPPING = ClaimMapping(attributes=(("department", ClaimPath(("department",))), ("groups", ClaimPath(("groups",)))))
_WITH_CEL = replace(
    _MAPPING, attributes=(*_MAPPING.attributes, ("team", admit("claims.groups.filter(one, one.startsWith('group-1'))", "bench")))
)


def lines(rounds: int) -> Iterator[Line]:
    now = datetime.now(UTC)
    moment = int(now.timestamp())
    person = claims(iat=moment, exp=moment + 3600, **_PEOPLES)
    exchanged = {**person, "act": {"iss": ISSUER, "sub": "finbot"}}
    account = service_account_claims(iat=moment, exp=moment + 3600)
    gc.freeze()
    for algorithm, by in (("RS256", "rsa"), ("ES256", "p256")):
        yield settled(lambda a=algorithm, b=by: beside(f"a person's access token, {a}", person, a, b, _FOR_AGENT, now, rounds))
    yield settled(lambda: beside("an exchanged token, RS256", exchanged, "RS256", "rsa", _FOR_AGENT, now, rounds))
    yield settled(lambda: beside("a ServiceAccount's token, RS256", account, "RS256", "rsa-cluster", AgentWanted(), now, rounds))
    yield settled(
        lambda: beside("a person's, RS256, with a CEL mapping over 20 groups", person, "RS256", "rsa", _FOR_AGENT, now, rounds, True)
    )
    yield settled(lambda: refusal("a token with an unknown kid, refused", token(person, header(kid="x")), Code.UNKNOWN_KEY, now, rounds))
    yield settled(lambda: refusal("16 KiB of nothing, refused", "e30." * 4_095, Code.MALFORMED_TOKEN, now, rounds))


def beside(what: str, body: Body, algorithm: str, by: str, wanting: Wanting, now: datetime, rounds: int, with_cel: bool = False) -> Line:
    of_cluster = by == "rsa-cluster"
    text = token(body, header(without=("typ",) if of_cluster else (), alg=algorithm, kid=by), by=by, algorithm=algorithm)
    providers, keys = followed(with_cel=with_cel)
    bare_key = public_key(by)
    ours, theirs = in_turns(
        lambda: verify(text, providers, keys, now, wanting), lambda: jwt.decode(text, bare_key, algorithms=[algorithm]), rounds
    )
    ratio = p50(ours) / p50(theirs)
    measured = f"p50 {ms(p50(ours))}, p99 {ms(percentile(ours, 99))}, {ratio:.1f} x {ms(p50(theirs))} bare"
    taken = p50(ours) / _BUDGET if with_cel or ratio <= _RATIO else math.inf
    return absolute(what, measured, f"p50 < {ms(_BUDGET)}{'' if with_cel else f', <= {_RATIO:g} x'}", taken)


def refusal(what: str, text: str, code: Code, now: datetime, rounds: int) -> Line:
    providers, keys = followed()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        try:
            verify(text, providers, keys, now, _FOR_AGENT)
        except TokenRefused as error:
            refused = error
        seconds.append(time.perf_counter() - started)
        assert refused.code is code
    measured = f"p50 {ms(p50(seconds))}, p99 {ms(percentile(seconds, 99))}"
    return absolute(what, measured, f"p50 < {ms(_BUDGET)}", p50(seconds) / _BUDGET)


def in_turns(one: Callable[[], object], other: Callable[[], object], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each: what else the machine does slows both."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, seconds in zip((one, other), taken, strict=True):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
    return taken


def followed(*, with_cel: bool = False) -> tuple[Mapping[str, Provider], Mapping[str, KnownKeys]]:
    provider = replace(PROVIDER, accepts=frozenset(TokenType), mapping=_WITH_CEL if with_cel else _MAPPING)
    keys = parse(key_set(public("rsa"), public("p256")))
    return {ISSUER: provider, CLUSTER: CLUSTER_PROVIDER}, {
        ISSUER: KnownKeys(keys, None),
        CLUSTER: KnownKeys(parse(key_set(public("rsa-cluster"))), None),
    }


def public_key(name: str) -> RSAKey | ECKey:
    pair = key(name)
    assert isinstance(pair, RSAKey | ECKey)
    return type(pair).import_key(pair.as_dict(private=False))


def main() -> None:
    table("Checking tokens", lines(QUICK if "--quick" in sys.argv[1:] else FULL))


if __name__ == "__main__":
    main()
