"""The answer to a login of the user that does not suffice for an offer: which one does (RFC 9470)."""

from rolevend.access_requests.terms import NeededProof
from rolevend.access_requests.use import UseRefusal
from rolevend.api.authenticator import USER_TOKEN
from rolevend.api.problems import Problem


def step_up_problem(detail: str, needed: NeededProof | None) -> Problem:
    headers = {"WWW-Authenticate": challenge(needed)}
    return Problem(401, UseRefusal.PROOF_NOT_MET.value, detail, field=USER_TOKEN, headers=headers)


def challenge(needed: NeededProof | None) -> str:
    """Return the challenge for a login that suffices."""
    text = 'Bearer error="insufficient_user_authentication"'
    if needed is not None and needed.acr:
        values = " ".join(needed.acr).replace("\\", "\\\\").replace('"', '\\"')
        text += f', acr_values="{values}"'
    if needed is not None and needed.longest_age_seconds is not None:
        text += f', max_age="{needed.longest_age_seconds}"'
    return text if text.isascii() else 'Bearer error="insufficient_user_authentication"'
