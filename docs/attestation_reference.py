"""The page docs/reference/snowflake-attestation.md: every check of an attestation, and what no attestation looks at, from the checks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from rolevend.platforms.snowflake.attest import PARTS, TRIALS, UNTRIED, Trial


def page() -> Iterator[str]:
    yield from (
        "# What an attestation tries on Snowflake",
        "",
        "Each check of `rolevend platform attest`, in its order, with the assumptions that it looks at. E numbers are those of",
        "[why nothing leaks](../explanation/snowflake.md#what-is-assumed); the others are those of",
        "[the model](../../tests/support/snowflake/ASSUMPTIONS.md) that stands in for an account in tests, where each has its source.",
        "",
        "Where a check fails that leaks, something is shown, changed or kept that no policy grants: the platform is closed, and its live",
        "roles end. Where another one fails, something is not as it is assumed, and nothing new is vended. What bears a `*` is tried on an",
        "account alone: a stand-in does not have it.",
    )
    for title, trials in PARTS.items():
        yield from ("", f"## {title}", "", "| Check | Assumptions | Leaks |", "|---|---|---|")
        yield from (_row(each) for each in trials)
    yield from ("", "## What is not tried", "", "| What | Assumptions | Why |", "|---|---|---|")
    yield from (f"| {each.what} | {', '.join(each.assumptions)} | {each.why} |" for each in UNTRIED)
    yield from ("", "## By assumption", "", "| # | Checks |", "|---|---|")
    yield from _by_assumption(TRIALS)


def _row(trial: Trial) -> str:
    star = " *" if trial.on_accounts_alone else ""
    return f"| {trial.what}{star} | {', '.join(trial.assumptions)} | {'yes' if trial.leaks else 'no'} |"


def _by_assumption(trials: Iterable[Trial]) -> Iterator[str]:
    found: dict[str, list[str]] = defaultdict(list)
    for trial in trials:
        for assumption in trial.assumptions:
            found[assumption].append(trial.what)
    for each in UNTRIED:
        for assumption in each.assumptions:
            found[assumption].append("not tried")
    for assumption in sorted(found, key=lambda each: (each[0], int(each[1:]))):
        yield f"| {assumption} | {'; '.join(found[assumption])} |"
