"""The pure parts of the PostgreSQL driver: tags, scripts, what to build, and what an error means."""

import re
from dataclasses import replace

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg_pool import PoolTimeout

from rolevend.catalog import TableId
from rolevend.errors import (
    InvalidInput,
    Overtaken,
    PlatformBusy,
    PlatformDrifted,
    PlatformFull,
    PlatformLocked,
    PlatformUnavailable,
    ProfileNotBuilt,
    ReadOnlyServer,
    RolevendError,
)
from rolevend.model import ProfileName, Tag, Task
from rolevend.platforms.postgres.build.builder import ProfileState, TemplateState, steps_for
from rolevend.platforms.postgres.build.render import PostgresProfileText, Template
from rolevend.platforms.postgres.catalog import malformed_tags, tags_of
from rolevend.platforms.postgres.failures import failure, translated
from rolevend.platforms.postgres.sql_files import installation, query, statements
from rolevend.platforms.postgres.vend.vends import application_name
from rolevend.platforms.protocol import InstallMode


class TestTags:
    @pytest.mark.parametrize(
        ("comment", "tags"),
        [
            ("rolevend: pii=ssn", {"pii": "ssn"}),
            ("rolevend:pii=ssn,domain=claims", {"pii": "ssn", "domain": "claims"}),
            (
                "Claims of people.\n\n  rolevend: pii = ssn , x.y/z = two words \nrolevend: a=b",
                {"pii": "ssn", "x.y/z": "two words", "a": "b"},
            ),
            ("see rolevend: pii=ssn", {}),
            ("Rolevend: pii=ssn", {}),
            ("rolevend: pii, =x, y=, a=b=c", {}),
            ("", {}),
        ],
    )
    def test_tags_are_read_from_lines_of_their_own(self, comment: str, tags: dict[str, str]):
        assert tags_of(comment) == frozenset(Tag(key, value) for key, value in tags.items())

    def test_what_is_malformed_is_told(self):
        assert malformed_tags("rolevend: pii, ok=yes, =x\nnothing, here") == ("pii", "=x")

    @pytest.mark.parametrize("line", ["Rolevend: pii=ssn", " ROLEVEND : pii=ssn", "rolevend\t: pii=ssn"])
    def test_a_line_that_was_meant_as_one_of_tags_is_told_whole(self, line: str):
        assert malformed_tags(f"People.\n{line}\nrolevend: ok=yes") == (line.strip(),)
        assert tags_of(line) == frozenset()

    @given(st.text())
    def test_any_comment_can_be_read(self, comment: str):
        tags_of(comment)
        malformed_tags(comment)


class TestScripts:
    def test_a_script_is_cut_at_its_semicolons_only(self):
        script = """-- The heading; of the file.

-- Why it is
-- done.
CREATE FUNCTION f() AS $$ a; -- b ' ; $$;
SELECT ';', ";" /* ; */ , '--';
"""
        assert list(statements(script)) == [
            ("Why it is done.", "CREATE FUNCTION f() AS $$ a; -- b ' ; $$"),
            ("", """SELECT ';', ";" /* ; */ , '--'"""),
        ]

    @pytest.mark.parametrize("mode", InstallMode)
    def test_the_installation_names_the_logins_as_identifiers(self, mode: InstallMode):
        texts = [text for _, text in installation(mode, {"vendor": 'v"1', "programmer": "P"})]
        assert any(text.startswith('CREATE ROLE "v""1" LOGIN') for text in texts)
        assert not any(':"' in text for text in texts)

    def test_without_a_superuser_everything_but_what_takes_one_is_the_same(self):
        superuser, managed = (
            [text for _, text in installation(mode, {"vendor": "v", "programmer": "p"})]
            for mode in (InstallMode.SUPERUSER, InstallMode.MANAGED)
        )
        assert [
            text.split("\n")[0] for text in superuser if text not in managed and text not in {"RESET ROLE", "SET LOCAL ROLE rv_owner"}
        ] == [
            "CREATE ROLE rv_owner NOLOGIN SUPERUSER",
            "CREATE OR REPLACE FUNCTION rolevend.on_login() RETURNS event_trigger",
            "CREATE EVENT TRIGGER rv_login ON login EXECUTE FUNCTION rolevend.on_login()",
            "CREATE OR REPLACE FUNCTION rolevend.on_alter_table() RETURNS event_trigger",
            "CREATE EVENT TRIGGER rv_guard ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION rolevend.on_alter_table()",
            'GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock(bigint), pg_catalog.pg_advisory_unlock(bigint) TO "p"',
            "GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_unlock_all() TO rv_connect",
        ]
        assert [text for text in managed if text not in superuser] == [
            "CREATE ROLE rv_owner NOLOGIN CREATEROLE",
            "GRANT rv_owner TO CURRENT_USER WITH INHERIT TRUE, SET TRUE",
            "GRANT rv_connect, rv_template TO rv_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
            'GRANT "p" TO rv_owner WITH INHERIT TRUE, SET FALSE',
        ]

    @pytest.mark.parametrize("mode", InstallMode)
    def test_every_statement_that_makes_something_can_run_again_or_is_left_out(self, mode: InstallMode):
        for _, text in installation(mode, {"vendor": "v", "programmer": "p"}):
            if text.startswith("CREATE"):
                again = ("CREATE OR REPLACE", "CREATE ROLE", "CREATE EVENT TRIGGER", "CREATE SCHEMA rolevend ")
                assert text.startswith(again) or "IF NOT EXISTS" in text.splitlines()[0]

    def test_every_function_pins_its_search_path(self):
        """But the procedure, which could not commit then, and sets it as its first statement, what is inlined, and what gives a schema
        with every name."""
        others = ("rolevend.policy_text(", "rolevend.template_of(", "rolevend.hash(", "rolevend.fence(")
        for _, text in installation(InstallMode.SUPERUSER, {"vendor": "v", "programmer": "p"}):
            if text.startswith("CREATE OR REPLACE FUNCTION") and not any(name in text.splitlines()[0] for name in others):
                assert "SET search_path = pg_catalog, pg_temp\nAS $$" in text
            if text.startswith("CREATE OR REPLACE PROCEDURE"):
                assert "BEGIN\n    PERFORM set_config('search_path', 'pg_catalog, pg_temp', false);" in text

    def test_a_percent_sign_that_is_no_parameter_is_doubled(self):
        text = query("catalog").as_string()
        assert "%(schemas)s" in text
        assert "%%I" in text


TEMPLATES = tuple(Template(f"rv_t_{name}", TableId("raw", name), f"create {name}", f"renew {name}") for name in "ab")
WANTED = PostgresProfileText(ProfileName("rv_p_1"), "digest", TEMPLATES, "create profile", "renew profile", "renew soon", frozenset())
THERE = TemplateState(role_exists=True, must_be_made=False, finding="")
ABSENT = TemplateState(role_exists=False, must_be_made=True, finding="")
BUILT = ProfileState("digest", None, altered=False, stale=False)


def steps(profile: ProfileState | None, a: TemplateState = THERE, b: TemplateState = THERE) -> list[str]:
    texts = [step.text for step in steps_for(WANTED, profile, {"rv_t_a": a, "rv_t_b": b})]
    return ["roles " + "".join(name for name in "ab" if f"'rv_t_{name}'" in text) if "make_templates" in text else text for text in texts]


class TestWhatIsBuilt:
    def test_nothing_where_all_is_there(self):
        assert steps(BUILT) == []

    def test_roles_first_then_templates_and_the_profile_last(self):
        assert steps(None, ABSENT, ABSENT) == ["roles ab", "create a", "create b", "create profile"]

    def test_only_what_is_missing(self):
        assert steps(None, THERE, ABSENT) == ["roles b", "create b", "create profile"]

    def test_policies_of_a_role_that_is_there_are_made_again(self):
        assert steps(BUILT, replace(ABSENT, role_exists=True)) == ["renew a", "renew profile"]

    @pytest.mark.parametrize("change", [{"digest": "of an older rolevend"}, {"stale": True}, {"drift": "noted"}])
    def test_a_profile_that_is_not_what_it_should_be_is_made_anew(self, change):
        assert steps(replace(BUILT, **change)) == ["renew profile"]

    def test_what_was_changed_by_hand_is_refused_with_the_way_out(self):
        with pytest.raises(PlatformDrifted, match=r"""table raw\.a was changed by hand: .*SELECT rolevend\.accept\('"raw"\."a"'\)"""):
            steps(BUILT, replace(THERE, finding="policy x was added"))
        with pytest.raises(PlatformDrifted, match="a view was changed by hand"):
            steps(replace(BUILT, altered=True))


class TestErrors:
    @pytest.mark.parametrize(
        ("state", "message", "kind"),
        [
            ("RV001", "closed", Overtaken),
            ("RV002", "another vend", Overtaken),
            ("RV003", "close first", PlatformBusy),
            ("RV004", "drift", PlatformDrifted),
            ("55P03", "lock", PlatformLocked),
            ("23503", "no profile", ProfileNotBuilt),
            ("XX000", "tuple concurrently updated", PlatformBusy),
            ("57P03", "starting up", PlatformUnavailable),
            ("25006", "cannot execute CREATE ROLE in a read-only transaction", ReadOnlyServer),
            ("53100", "could not extend file: No space left on device", PlatformFull),
            ("28P01", "password", PlatformUnavailable),
            ("08006", "gone", PlatformUnavailable),
            ("22023", "bad", InvalidInput),
            ("22P02", "bad", InvalidInput),
            ("42P01", 'relation "raw.customers" does not exist', PlatformBusy),
            ("42P01", 'relation "rolevend.lease" does not exist', PlatformUnavailable),
            ("42883", "function rolevend.vend(text) does not exist", PlatformUnavailable),
            ("3F000", 'schema "rolevend" does not exist', PlatformUnavailable),
            ("99999", "unheard of", PlatformBusy),
            (None, "no state", PlatformBusy),
        ],
    )
    def test_a_state_is_a_class(self, state: str | None, message: str, kind: type[RolevendError]):
        error = failure("vend", state, f"{message}\nDETAIL: Key (ssn)=(123-45-6789)")
        assert type(error) is kind
        assert str(error).startswith("cannot vend: ")
        assert "123-45" not in str(error)

    def test_a_pool_without_a_free_connection_is_busy(self):
        assert isinstance(translated("vend", PoolTimeout("x")), PlatformBusy)

    def test_a_text_that_no_server_takes_is_the_callers(self):
        assert isinstance(translated("vend", psycopg.DataError("PostgreSQL text fields cannot contain NUL")), InvalidInput)


class TestTheNameOfATask:
    @given(st.text(min_size=1, max_size=128), st.none() | st.just(f"sha256:{'0a' * 32}"))
    def test_is_plain_and_has_room_and_always_ends_in_the_digest(self, task: str, digest: str | None):
        name = application_name(Task(task, digest))["application_name"]

        assert re.fullmatch("task:[A-Za-z0-9._:-]{1,58}", name)
        assert digest is None or name.endswith(":0a0a0a0a0a0a0a0a")

    def test_is_its_id_where_that_has_room(self):
        assert application_name(Task("chat-4711")) == {"application_name": "task:chat-4711"}
        assert application_name(None) == {}
