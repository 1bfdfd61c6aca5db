"""The page docs/reference/snowflake-assumptions.md: what is assumed of Snowflake, from the lists of the model and of the argument why
nothing leaks, with the checks of an attestation that look at each."""

import re
from collections.abc import Iterator
from pathlib import Path

from rolevend.platforms.snowflake.attest import TRIALS, UNTRIED

_ROOT = Path(__file__).parents[1]
_MODEL = _ROOT / "tests" / "support" / "snowflake" / "ASSUMPTIONS.md"
_ARGUMENT = _MODEL.with_name("ARGUMENT.md")
_NUMBERED = re.compile(r"\| [A-Z]\d+ \|")


def page() -> Iterator[str]:
    yield from (
        "# What only a Snowflake account can settle",
        "",
        "The driver of Snowflake was built from Snowflake's documentation of September 2026, with the real connector, and without an",
        "account. Each line here is something that it takes for granted, or that [the model](../../tests/support/snowflake/ASSUMPTIONS.md)",
        "does which stands in for an account in tests; with the checks of [an attestation](../how-to/attest-a-platform.md#snowflake) that",
        "look at it on your account before anything is vended there. Where one of them fails that [leaks](snowflake-attestation.md), the",
        "platform is closed, and its live roles end; where another one fails, nothing new is vended.",
        "",
        "A source is a page under `docs.snowflake.com/en/`; **recorded** is what the connector itself sends or accepts; **reported** is",
        "what users show of their accounts; **assumed** is what no page says as far as we found.",
    )
    for line in _MODEL.read_text(encoding="utf-8").splitlines():
        if line.startswith("## ") and "does not have" not in line:
            yield from ("", line, "", "| # | What is assumed | Source | Checks | Leaks |", "|---|---|---|---|---|")
        elif _NUMBERED.match(line):
            yield _row(*_cells(line)[:3])
    yield from (
        "",
        "## Texts of views, policies and masks",
        "",
        "[The argument why nothing leaks](../explanation/snowflake.md) rests on these. A bold consequence is a leak.",
        "",
        "| # | What is assumed | Otherwise | Checks | Leaks |",
        "|---|---|---|---|---|",
    )
    yield from (_row(*_cells(line)[:3]) for line in _ARGUMENT.read_text(encoding="utf-8").splitlines() if re.match(r"\| E\d+ \|", line))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def _row(number: str, *said: str) -> str:
    checks = [each for each in TRIALS if number in each.assumptions]
    if not checks:
        (why,) = [each.why for each in UNTRIED if number in each.assumptions]
        return f"| {' | '.join((number, *said, f'none: {why}', '-'))} |"
    names = "; ".join(each.what for each in checks)
    return f"| {' | '.join((number, *said, names, 'yes' if any(each.leaks for each in checks) else 'no'))} |"
