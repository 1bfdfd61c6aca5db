"""What PostgreSQL lets a vended role do all the same, by how rolevend was installed: the name of the attack, and why nobody can
prevent it there. The suite asserts that exactly these succeed, so that a new one is noticed, and one that is mended, too."""

from rolevend.platforms.base import InstallMode

_LANGUAGE = "plpgsql belongs to the server's superuser, and PUBLIC may use it"
_FUNCTION = "the function belongs to the server's superuser, and PUBLIC may call it"
_DATABASE = "the database is somebody else's, and PUBLIC may connect to it"

NOT_PREVENTABLE: dict[InstallMode, dict[str, str]] = {
    InstallMode.SUPERUSER: {},
    InstallMode.MANAGED: {
        "a DO block": _LANGUAGE,
        "create a large object": _FUNCTION,
        "write a large object": _FUNCTION,
        "take an advisory lock": _FUNCTION,
        "try an advisory lock": _FUNCTION,
        "notify by function": _FUNCTION,
        "write into the log of replication": _FUNCTION,
        "export a snapshot": _FUNCTION,
        "log in to postgres": _DATABASE,
        "log in to template1": _DATABASE,
    },
}
