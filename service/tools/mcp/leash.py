"""Becomes another program that is killed when the process that started it ends, in whatever way.

Refuses to start it where that process is gone already. Stands alone: nothing of the service is imported.
"""

import ctypes
import os
import signal
import sys

SET_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of <linux/prctl.h>; it holds on through exec."""


def main() -> None:
    """`leash.py PARENT PROGRAM ARGUMENT...`."""
    parent, program, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execv(program, [program, *arguments])  # noqa: S606 - the program is the operator's word


if __name__ == "__main__":
    main()
