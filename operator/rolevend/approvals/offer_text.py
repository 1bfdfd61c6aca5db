"""The grant of an offer as a text for approvers: as its AccessPolicy spells it out. Pure."""

from collections.abc import Iterable, Iterator

from rolevend.approvals.wording import name, names, span
from rolevend.kinds import AccessPolicy
from rolevend.kinds.access_policy import MaskRule, TableSelector, TableTagRequirement
from rolevend.kinds.on_request import ApprovalTerms
from rolevend.kinds.shared import ColumnSelector, TagRequirement

Fact = tuple[str, str]
"""A label, and a value."""


def facts(offer: AccessPolicy) -> Iterator[Fact]:
    """Yield the parts of the grant, before guardrails and before the narrowing of a request."""
    spec = offer.spec
    yield "tables", _tables(spec.tables)
    yield "columns", _columns(spec.columns)
    yield "rows", "all" if spec.row_filter is None else f"where {' '.join(spec.row_filter.split())}"
    yield "masks", masks(spec.masks or ()) or "none: every granted column is shown in clear"
    if spec.on_request is not None:
        terms = spec.on_request
        yield "at most", span(terms.max_expiration_seconds)
        yield "approval", _approval(terms.approval)


def _approval(terms: ApprovalTerms) -> str:
    if terms.required == 0:
        return "by rules only"
    people, have = ("one person", "has") if terms.required == 1 else (f"{terms.required} people", "have")
    return f"{people}, who already {have} this access" if terms.approver_must_hold else people


def masks(rules: Iterable[MaskRule]) -> str:
    return "; ".join(f"{mask_type(each)} on {_columns(each.columns)}" for each in rules)


def mask_type(rule: MaskRule) -> str:
    """Return the type with its parameter, as `--mask` reads it."""
    match rule.type:
        case "Partial":
            parameter = str(rule.partial.keep_last) if rule.partial else ""
        case "Round":
            parameter = rule.round.step if rule.round else ""
        case "DateTrunc":
            parameter = rule.date_trunc.unit if rule.date_trunc else ""
        case "Regex":
            parameter = f"{name(rule.regex.pattern)} to {name(rule.regex.replacement)}" if rule.regex else ""
        case "Constant":
            parameter = name(rule.constant.value) if rule.constant else ""
        case _:
            return rule.type
    return f"{rule.type}({parameter})"


def _tables(selector: TableSelector) -> str:
    listed = ", ".join(f"{name(each.schema_name)}.{name(each.name)}" for each in selector.match_names or ())
    return _selected(listed, selector.match_tags or ())


def _columns(selector: ColumnSelector) -> str:
    return _selected(names(selector.match_names or ()), selector.match_tags or ())


def _selected(listed: str, tags: Iterable[TagRequirement]) -> str:
    tested = " and ".join(map(_tag, tags))
    return " ".join(filter(None, [listed or "all", f"tagged {tested}" if tested else ""]))


def _tag(requirement: TagRequirement) -> str:
    key = name(requirement.key)
    own = requirement.values_from_user_attribute if isinstance(requirement, TableTagRequirement) else None
    values = f"({names(requirement.values or ())})" if own is None else f"(the user's {name(own)})"
    match requirement.operator:
        case "In":
            return f"{key} in {values}"
        case "NotIn":
            return f"{key} not in {values}"
        case "Exists":
            return key
        case _:
            return f"without {key}"
