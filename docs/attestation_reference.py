"""The page docs/reference/snowflake-attestation.md: every check of an attestation, and what no attestation looks at, from the checks."""

from collections.abc import Iterator

from tables import table

from rolevend.platforms.snowflake.attest import PARTS, UNTRIED, Trial


def page() -> Iterator[str]:
    yield from (
        "# What an attestation tries on Snowflake",
        "",
        "Each check of `rolevend platform attest`, in its order, with [the assumptions](snowflake-assumptions.md) that it looks at.",
        "",
        "Where a check fails that leaks, something is shown, changed or kept that no policy grants: the platform is closed, and its live",
        "roles end. Where another one fails, something is not as it is assumed, and nothing new is vended. What bears a `*` is tried on an",
        "account alone: a stand-in does not have it.",
    )
    for title, trials in PARTS.items():
        yield from ("", f"## {title}", "")
        yield from table(("Check", "Assumptions", "Leaks"), map(_row, trials))
    yield from ("", "## What is not tried", "")
    yield from table(("What", "Assumptions", "Why"), ((each.what, ", ".join(each.assumptions), each.why) for each in UNTRIED))


def _row(trial: Trial) -> tuple[str, str, str]:
    star = " *" if trial.on_accounts_alone else ""
    return f"{trial.what}{star}", ", ".join(trial.assumptions), "yes" if trial.leaks else "no"
