"""Queries over tables into queries over what may be seen of them: each table becomes a sub-select that is filtered and masked."""

from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from tests.support.snowflake import bodies, refusals, virtual
from tests.support.snowflake.catalog import Member, Thing
from tests.support.snowflake.engine import Work
from tests.support.snowflake.reader import Name, shown
from tests.support.snowflake.translating import called, parse


class Rewriter:
    """With the rights of `members`, or of the session where that is None. `reads` gathers the tables that were read."""

    def __init__(self, work: Work, members: set[Member] | None = None, reads: set[Name] | None = None, invoker: str | None = None) -> None:
        """`invoker` is the owner of the view that is read, if there is one."""
        self._work = work
        self._members = members
        self._invoker = invoker or work.access.role
        self.reads: set[Name] = set() if reads is None else reads
        self.named: set[Name] = set()
        """What the query itself names, of `reads`."""

    def query(self, tree: exp.Expression) -> None:
        """Every table in it, in place; names of common table expressions are none."""
        for query in _outermost(tree):
            sources = []
            for scope in traverse_scope(query):
                for node, source in scope.selected_sources.values():
                    if isinstance(source, exp.Table | exp.TableFromRows):
                        sources.append((source, node))
            for source, _ in sources:
                source.replace(self._relation(source))
        for column in tree.find_all(exp.Column):
            column.set("db", None)
            column.set("catalog", None)

    def _relation(self, table: exp.Table) -> exp.Expression:
        for part in ("when", "version", "changes"):
            if table.args.get(part):
                raise refusals.Unknown("time travel")
        if isinstance(table, exp.TableFromRows) or isinstance(table.this, exp.Func):
            return virtual.function(self._work, table)
        name = tuple(part.name for part in table.parts)
        alias = table.alias or name[-1]
        if virtual.is_virtual(name):
            return virtual.view(self._work, name, alias)
        inner = self._seen(name)
        return exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))

    def readable(self, name: Name, privilege: str = "SELECT") -> Thing:
        """The table or view, if the rights suffice to read it."""
        access = self._work.access
        if self._members is None:
            thing = access.get("TABLE", name)
            access.require(privilege, thing)
        else:
            whole = access.whole("TABLE", name)
            found = self._work.catalog.find("TABLE", whole, self._work.session.id)
            if found is None or not (
                access.holds(privilege, found, members=self._members) and access.reaches(whole, members=self._members)
            ):
                raise refusals.missing("TABLE", shown(whole))
            thing = found
        self.reads.add(thing.name)
        self.named.add(thing.name)
        return thing

    def _seen(self, name: Name) -> exp.Query:
        thing = self.readable(name)
        if thing.kind == "VIEW":
            return self._view(thing)
        base = exp.to_identifier("_base", quoted=True)
        shows = [self._shown(thing, column.name) for column in thing.columns]
        query = exp.select(*shows, copy=False).from_(exp.alias_(exp.to_table(thing.stored), base, table=True, copy=False), copy=False)
        return query if (condition := self.row_condition(thing, "_base")) is None else query.where(condition, copy=False)

    def _view(self, view: Thing) -> exp.Query:
        """A view reads with the rights of its owner; the policies of its tables see the session, all the same."""
        tree = parse(view.body)
        owner = self._work.catalog.below(iter([Member("ROLE", view.owner)]))
        within = Rewriter(self._work, owner, self.reads, view.owner if self._work.switches.invoker else None)
        within.query(tree)
        assert isinstance(tree, exp.Query)
        named = exp.TableAlias(
            this=exp.to_identifier("_view", quoted=True), columns=[exp.to_identifier(column.name, quoted=True) for column in view.columns]
        )
        return exp.select("*").from_(exp.Subquery(this=tree, alias=named), copy=False)

    def row_condition(self, thing: Thing, base: str) -> exp.Expression | None:
        if thing.row_policy is None or not self._work.switches.row_policies or self._exempt(thing):
            return None
        return self._body(thing, thing.row_policy.policy, "ROW ACCESS POLICY", thing.row_policy.on, base)

    def _shown(self, thing: Thing, column: str) -> exp.Expression:
        mask = thing.masks.get(column)
        value: exp.Expression = _column(column, "_base")
        if mask is not None and self._work.switches.masks and not self._exempt(thing):
            value = self._body(thing, mask.policy, "MASKING POLICY", mask.using, "_base")
        return exp.alias_(value, column, quoted=True, copy=False)

    def _exempt(self, thing: Thing) -> bool:
        access = self._work.access
        return not self._work.switches.policies_bind_admins and (access.admin or access.owns(thing))

    def _body(self, thing: Thing, name: Name, kind: str, columns: tuple[str, ...], base: str) -> exp.Expression:
        """With the rights of the policy's owner, over the row of `base`."""
        policy = self._work.catalog.find(kind, name)
        assert policy is not None
        values = {one.name: _column(column, base) for one, column in zip(policy.columns, columns, strict=True)}
        tree = bodies.with_arguments(policy, values)
        owner = self._work.catalog.below(iter([Member("ROLE", policy.owner)])) if self._work.switches.owners_rights else None
        Rewriter(self._work, owner, self.reads, self._invoker).query(tree)
        for node in tree.find_all(exp.Anonymous):
            if called(node) == "INVOKER_ROLE":
                node.meta["invoker"] = self._invoker
        return tree


def _column(column: str, base: str) -> exp.Expression:
    return exp.column(column, table=base, quoted=True)


def _outermost(tree: exp.Expression) -> list[exp.Query]:
    """The queries that stand in no other query."""
    if isinstance(tree, exp.Query) and not isinstance(tree, exp.Subquery):
        return [tree]
    found = []
    for child in tree.iter_expressions():
        found.extend(_outermost(child))
    return found
