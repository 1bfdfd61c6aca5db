"""A launcher that becomes a program, which ends with its parent process.

Run by path, as ``python -I -S launch.py SIGNAL PARENT ACCOUNT PROGRAM [ARGUMENT ...]``: SIGNAL is what the kernel
sends when the parent ends, PARENT the parent's process id, ACCOUNT is ``UID:GID`` or ``-`` for this user.

This is a program of its own rather than a ``preexec_fn``, because running Python between fork and exec can deadlock
in a process with threads (and warns about it since 3.12). It imports nothing of rolevend: it must start fast, and
an unprivileged ACCOUNT need not be able to read the folder that rolevend or Python is installed in.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    death_signal, parent, account, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    if account != "-":
        uid, gid = (int(part) for part in account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After setuid: the kernel clears the death signal when a process changes its user.
    if libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot ask the kernel for a death signal")
    if os.getppid() != int(parent):
        sys.exit("the process that started this one has ended")
    # Python ignores some signals, a shell others for background jobs. The program would inherit ignored signals.
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
