"""The effect of an installation on others, on one screen: who loses what, why, and how to give it back. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap

from rolevend.platforms.plan_text import visible
from rolevend.platforms.postgres.install.findings import ADMISSION, Finding, FindingKind, some
from rolevend.platforms.postgres.install.statements import given_back_to_public, taken_from_public
from rolevend.platforms.postgres.install.survey import PostgresInstallOptions, Reach, Right, Survey, TakenRight
from rolevend.platforms.statement import plain

COLUMNS = 80
_WHY = {
    ("DATABASE", "CONNECT"): "a vended role could log in there, and what it leaves there keeps it from being dropped",
    ("DATABASE", "TEMPORARY"): "a vended role could create temporary tables and functions",
    ("SCHEMA", "USAGE"): "a vended role could call functions there",
    ("SCHEMA", "CREATE"): "a vended role could create objects that others use",
    ("LANGUAGE", "USAGE"): "a vended role could run DO blocks",
    ("FUNCTION", "EXECUTE"): "large objects, advisory locks and messages outlive or leave a session, and dblink reaches other servers",
}


@dataclass(frozen=True, slots=True)
class Changes:
    """The rights and memberships that others lose and get."""

    reach: Reach
    taken: tuple[Right, ...]
    earlier: tuple[TakenRight, ...]
    """Revoked from PUBLIC by an earlier installation."""
    given: tuple[TakenRight, ...]
    members: tuple[str, ...]
    """Roles that become members of rv_public, and so lose nothing."""
    owners: tuple[str, ...]
    """Roles that the programmer's login becomes a member of."""
    programmer: str
    observer: str | None
    """The console's login."""
    tables: tuple[str, ...]
    """Tables on which the first grant of a policy switches row security on."""


def changes_of(survey: Survey, options: PostgresInstallOptions) -> Changes:
    given = set(given_back_to_public(survey, options))
    return Changes(
        options.reach or Reach.SERVER,
        tuple(taken_from_public(survey, options)),
        tuple(sorted(set(survey.taken) - given, key=lambda right: (right.kind, right.privilege, right.object))),
        tuple(given_back_to_public(survey, options)),
        survey.everybody,
        survey.owners,
        options.programmer,
        options.observer,
        tuple(table.shown for table in survey.tables if table.kind in ("r", "p") and not table.has_row_security),
    )


def summary_lines(changes: Changes, findings: Sequence[Finding]) -> Iterator[str]:
    yield ""
    yield from _lost(changes.taken, "PUBLIC loses")
    if changes.earlier:
        yield from _lost(changes.earlier, "PUBLIC lost with an earlier installation")
    if not changes.taken and not changes.earlier:
        yield "PUBLIC loses nothing: it has none of the rights that a vended role must not have."
    if changes.given:
        yield from ("", "PUBLIC gets back")
        yield from _objects(changes.given)
    if changes.taken:
        yield ""
        who = f"{len(changes.members)} roles: {some(changes.members)}" if changes.members else "no role"
        yield from _wrapped(f"Roles that exist now lose nothing. They become members of rv_public, which has these rights instead: {who}.")
    if changes.taken or changes.earlier:
        yield from ("", "A role that is created later lacks them. To give them to it, run:", f"  {ADMISSION.format('<role>')};")
        yield from _wrapped("To give them back to PUBLIC: rolevend platform uninstall.")
    yield from ("", *_reach(changes.reach))
    if changes.owners:
        yield ""
        yield from _wrapped(f"The login {changes.programmer} becomes a member of the owners of governed tables: {some(changes.owners)}.")
    if changes.observer:
        yield ""
        yield from _wrapped(
            f"The login {changes.observer} reads the statements that vended roles run now, for the console, and nothing else."
        )
    if changes.tables:
        yield ""
        yield from _wrapped(
            f"Row security is switched on when a policy first grants a table, of {len(changes.tables)}: {some(changes.tables)}. "
            "Roles with a grant on it then keep all rows. A role that gets a grant later sees none, until you run: "
            "SELECT rolevend.admit('<table>', '<role>');"
        )
    yield from ("", *_counts(findings))


def _lost(taken: Sequence[Right | TakenRight], heading: str) -> Iterator[str]:
    if taken:
        yield heading
        yield from _objects(taken, with_reasons=True)


def _objects(rights: Sequence[Right | TakenRight], *, with_reasons: bool = False) -> Iterator[str]:
    for (kind, privilege), same in groupby(rights, key=lambda right: (right.kind, right.privilege)):
        yield from _wrapped(f"{privilege} on {kind.lower()} {some([right.object for right in same])}", "  ")
        if with_reasons and (reason := _WHY.get((kind, privilege))):
            yield from _wrapped(f"because {reason}", "    ")


def _reach(reach: Reach) -> Iterator[str]:
    if reach is Reach.SERVER:
        yield from _wrapped(
            "With --reach database, PUBLIC keeps CONNECT, so that a later role can log in. Then a vended role can log in to other "
            "databases, too, unless pg_hba.conf rejects +rv_connect there."
        )
    else:
        yield from _wrapped(
            "PUBLIC keeps CONNECT on all databases (--reach database): a vended role can log in to other databases, unless pg_hba.conf "
            "rejects +rv_connect there. The attestation reports it."
        )


def _counts(findings: Sequence[Finding]) -> Iterator[str]:
    refused = [finding for finding in findings if finding.kind is FindingKind.REFUSED]
    for finding in refused[:3]:
        yield from _wrapped(f"refused: {finding}")
    opened = sum(finding.kind is FindingKind.OPEN for finding in findings)
    yield from _wrapped(
        f"{len(refused)} findings block the installation; {opened} things stay open to vended roles. The plan without --summary lists them."
    )


def _wrapped(text: str, indent: str = "") -> Iterator[str]:
    yield from wrap(
        plain(visible(text)),
        COLUMNS,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
