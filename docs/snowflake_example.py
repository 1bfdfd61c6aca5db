"""The page docs/reference/snowflake-example.md: what policies of an example become in an account, from the code that renders it."""

from collections.abc import Iterator
from pathlib import Path

from tables import sql

from rolevend.decision.outcome import Granted
from rolevend.kinds import AccessPolicy, DataPlatform, values
from rolevend.model import ObjectName, PlatformName, User
from rolevend.plan import Profile
from rolevend.platforms.snowflake.build.builder import SnowflakeProfileText, render
from rolevend.platforms.snowflake.build.policies import set_row_policy
from rolevend.policytools.decisions import Requester, decide, opened
from rolevend.policytools.folder import Folder, read_catalogs

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ON_BOTH = EXAMPLES / "05-two-platforms"
_SHARED = ("1-namespaces", "2-platform", "3-agent", "4-tags", "6-people")
"""Of 01-first-role; its policies and its guardrail are written anew for both platforms."""
_PLATFORM = PlatformName("crm")
_PEOPLE = {
    "anna": "an analyst for Germany and Austria: hashed ids, names with two characters, births by the year.",
    "bob": "an actuary in the United States: births by the month, no names and no ids, notes withheld.",
}


def page() -> Iterator[str]:
    folder = Folder.sound([*(EXAMPLES / "01-first-role" / "manifests" / f"{name}.yaml" for name in _SHARED), ON_BOTH / "manifests"])
    (snowflake,) = (each.spec.snowflake for each in folder.of(DataPlatform) if each.spec.snowflake is not None)
    account = values.account(snowflake)
    yield from (
        "# What an example becomes in a Snowflake account",
        "",
        "The policies of [examples/05-two-platforms](../../examples/05-two-platforms/README.md), as the driver writes them into the",
        "account: each statement is rendered by the code that runs it, for the tables of the example's",
        "[catalog](../../examples/05-two-platforms/catalog/crm.yaml). None of it was run on Snowflake itself.",
        "",
        "A policy is no object of Snowflake's. What several of them grant together is a *profile*: a schema of secure views, which all",
        "roles share that may read the same in the same way. Values of a person stand in their lease, and in no text here.",
        "[Why it is so](../explanation/snowflake.md).",
        "",
        "## The policies",
        "",
    )
    for policy in sorted(folder.of(AccessPolicy), key=lambda each: each.name):
        if any(ref.name == _PLATFORM for ref in policy.spec.platform_refs):
            yield f"* `{policy.name}`: rows where `{policy.spec.row_filter}`; {', '.join(each.type for each in policy.spec.masks)}"
    texts = {person: render(_profile(folder, person), account) for person in _PEOPLE}
    yield from (
        "",
        "## The wall of the table",
        "",
        "A table has one, whatever is granted on it. It shows vended roles no row but through views of ours, and concerns nobody else.",
        "",
    )
    yield from sql(dict.fromkeys(wall for text in texts.values() for wall in _walls(text, account.database)))
    for person, who in _PEOPLE.items():
        yield from ("", f"## The view of {person.capitalize()}'s role", "", f"For {who}", "")
        yield from sql(f"{view.create};" for view in texts[person].views)


def _profile(folder: Folder, person: str) -> Profile:
    built = folder.build(read_catalogs([ON_BOTH / "catalog" / f"{name}.yaml" for name in ("warehouse", "crm")]))
    who = Requester(User("https://idp.example.org", person), ObjectName("agents", "finbot"), _PLATFORM)
    found = decide(opened(built.snapshot), who)
    if not isinstance(found, Granted):
        raise TypeError(f"the example grants {person} nothing on {_PLATFORM}: {found}")
    return found.profile


def _walls(text: SnowflakeProfileText, database: str) -> Iterator[str]:
    for table, wall in text.walls:
        yield f"{wall.create};"
        yield f"{set_row_policy(table, wall, database=database)};"
