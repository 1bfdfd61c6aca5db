"""Policies and tags: what may be attached to what, by whom."""

from tests.support.snowflake import bodies, refusals, statements
from tests.support.snowflake.catalog import Thing
from tests.support.snowflake.engine import Work
from tests.support.snowflake.reader import Name, shown
from tests.support.snowflake.statements import Attachment, Masking

_ENTERPRISE = ("ROW ACCESS POLICY", "MASKING POLICY")


def check_policy(work: Work, policy: Thing) -> None:
    """Its body is SQL over its arguments, which the stand-in knows; its account has the edition."""
    if policy.kind not in _ENTERPRISE:
        return
    if work.edition == "STANDARD":
        raise refusals.unsupported(policy.kind)
    if policy.kind == "ROW ACCESS POLICY" and policy.returns != "BOOLEAN":
        raise refusals.Refusal("001003", "42000", "SQL compilation error:\nthe return type of a row access policy must be BOOLEAN.")
    if policy.kind == "MASKING POLICY" and family_of(policy.returns) != family_of(policy.columns[0].type):
        raise refusals.Refusal(
            "002037", "42601", f"SQL compilation error:\nMasking policy {shown(policy.name)} must return the type of its first argument."
        )
    bodies.check(policy)


def set_body(work: Work, policy: Thing, body: str) -> None:
    before = policy.body
    policy.body = body
    try:
        check_policy(work, policy)
    except refusals.Refusal:
        policy.body = before
        raise


def family_of(kind: str) -> str:
    """A type without its length and scale."""
    return kind.partition("(")[0]


def require_unused(work: Work, policy: Thing, outside: Name = ()) -> None:
    """`outside`: the database or schema that is dropped, with the tables in it."""
    if policy.kind == "SESSION POLICY":
        users = [*work.catalog.of("USER"), work.catalog.account]
        if any(user.policies.get(policy.kind) == policy.name for user in users):
            raise refusals.policy_in_use(shown(policy.name))
    if policy.kind in _ENTERPRISE:
        for table in work.catalog.of("TABLE", "VIEW"):
            if outside and table.name[: len(outside)] == outside:
                continue
            on_row = table.row_policy is not None and table.row_policy.policy == policy.name
            if on_row or any(mask.policy == policy.name for mask in table.masks.values()):
                raise refusals.policy_in_use(shown(policy.name))


def attach(work: Work, table: Thing, action: statements.Action) -> None:
    match action:
        case statements.AddRowPolicy(attachment):
            add_row_policy(work, table, attachment)
        case statements.DropRowPolicy(policy):
            _drop_row_policy(work, table, policy)
        case statements.SetMask(masking):
            set_mask(work, table, masking)
        case statements.UnsetMask(column):
            if mask := table.masks.get(column):
                _require_apply(work, table, "MASKING POLICY", mask.policy)
                del table.masks[column]
        case _:
            raise AssertionError(action)


def _require_apply(work: Work, table: Thing, kind: str, policy: Name) -> None:
    """APPLY … POLICY on the account; or the table's ownership, and APPLY on the policy."""
    if not work.switches.apply_privilege or work.access.on_account(f"APPLY {kind}"):
        return
    if not work.access.owns(table):
        raise refusals.insufficient(table.kind, shown(table.name[-1:]))
    found = work.catalog.find(kind, policy)
    if found is None or not work.access.holds("APPLY", found):
        raise refusals.insufficient(kind, shown(policy[-1:]))


def _policy(work: Work, table: Thing, kind: str, name: Name) -> Thing:
    policy = work.catalog.find(kind, work.access.whole(kind, name))
    if policy is None or not (work.access.sees(policy) or work.access.on_account(f"APPLY {kind}")):
        raise refusals.missing(kind, shown(work.access.whole(kind, name)))
    _require_apply(work, table, kind, policy.name)
    return policy


def _column_type(table: Thing, column: str) -> str:
    for one in table.columns:
        if one.name == column:
            return one.type
    raise refusals.invalid_identifier(shown((column,)))


def _match(table: Thing, policy: Thing, columns: tuple[str, ...]) -> None:
    if len(columns) != len(policy.columns):
        raise refusals.Refusal(
            "001044",
            "42P13",
            f"SQL compilation error:\nPolicy {shown(policy.name)} takes {len(policy.columns)} arguments, and was given {len(columns)}.",
        )
    for column, argument in zip(columns, policy.columns, strict=True):
        kind = _column_type(table, column)
        if family_of(kind) != family_of(argument.type):
            raise refusals.Refusal(
                "002027",
                "42601",
                f"SQL compilation error:\nData type of column {shown((column,))}, {kind}, does not match {argument.type} "
                f"of policy {policy.name[-1]}.",
            )


def add_row_policy(work: Work, table: Thing, attachment: Attachment) -> None:
    policy = _policy(work, table, "ROW ACCESS POLICY", attachment.policy)
    if table.row_policy is not None:
        raise refusals.second_row_policy(shown(table.name[-1:]))
    _match(table, policy, attachment.on)
    for column in attachment.on:
        if column in table.masks:
            raise refusals.masked_argument(column)
    table.row_policy = Attachment(policy.name, attachment.on)


def _drop_row_policy(work: Work, table: Thing, name: Name | None) -> None:
    if table.row_policy is None:
        if name is not None:
            raise refusals.missing("ROW ACCESS POLICY", shown(name))
        return
    if name is not None and work.access.whole("ROW ACCESS POLICY", name) != table.row_policy.policy:
        raise refusals.missing("ROW ACCESS POLICY", shown(name))
    _require_apply(work, table, "ROW ACCESS POLICY", table.row_policy.policy)
    table.row_policy = None


def set_mask(work: Work, table: Thing, masking: Masking) -> None:
    policy = _policy(work, table, "MASKING POLICY", masking.policy)
    using = masking.using or (masking.column,)
    if using[0] != masking.column:
        raise refusals.Refusal(
            "001044", "42P13", f"SQL compilation error:\nThe first column of USING must be the masked column {shown((masking.column,))}."
        )
    _match(table, policy, using)
    before = table.masks.get(masking.column)
    if before is not None and before.policy != policy.name and not masking.force:
        raise refusals.second_mask(masking.column, before.policy[-1])
    for column in using[1:]:
        if column in table.masks:
            raise refusals.masked_argument(column)
    arguments = {column for mask in table.masks.values() for column in mask.using[1:] if mask.column != masking.column}
    if masking.column in arguments or (table.row_policy is not None and masking.column in table.row_policy.on):
        raise refusals.argument_masked(masking.column)
    table.masks[masking.column] = Masking(masking.column, policy.name, using)


def set_policy(work: Work, thing: Thing, action: statements.SetPolicy) -> None:
    """Of a user or the account: APPLY SESSION POLICY on the account, or the user's ownership and APPLY on the policy."""
    if thing.kind not in ("USER", "ACCOUNT"):
        raise refusals.Unknown(f"a {action.kind.lower()} of a {thing.kind.lower()}")
    apply = work.access.on_account(f"APPLY {action.kind}")
    if action.policy is None:
        if not (apply or work.access.owns(thing)):
            raise refusals.insufficient(thing.kind, shown(thing.name))
        thing.policies.pop(action.kind, None)
        return
    policy = work.catalog.find(action.kind, work.access.whole(action.kind, action.policy))
    if policy is None:
        raise refusals.missing(action.kind, shown(action.policy))
    if not (apply or (work.access.owns(thing) and work.access.holds("APPLY", policy))):
        raise refusals.insufficient(thing.kind, shown(thing.name))
    noun = action.kind.replace(" ", "_")
    if action.kind in thing.policies and not action.force:
        raise refusals.Refusal(
            "003551",
            "55000",
            f"SQL execution error:\nObject {shown(thing.name)} already has a {noun}. Only one {noun} is allowed at a time.",
        )
    thing.policies[action.kind] = policy.name


def set_tag(work: Work, thing: Thing, action: statements.SetTag) -> None:
    tag = work.catalog.find("TAG", work.access.whole("TAG", action.tag))
    if tag is None:
        raise refusals.missing("TAG", shown(action.tag))
    if not (work.access.on_account("APPLY TAG") or (work.access.owns(thing) and work.access.holds("APPLY", tag))):
        raise refusals.insufficient(thing.kind, shown(thing.name[-1:]))
    if action.column is not None:
        _column_type(thing, action.column)
    if action.value is None:
        thing.tags.pop((action.column, tag.name), None)
    else:
        thing.tags[action.column, tag.name] = action.value
