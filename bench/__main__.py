"""Every measurement, and its table: `python -m bench [--quick]`. Fails if a budget is missed."""

import subprocess
import sys

PARTS = (
    "bench.driver",
    "bench.managed",
    "bench.operator",
    "bench.ending",
    "bench.scale",
    "bench.index",
    "bench.masks",
    "bench.narrowing",
    "bench.policy",
    "bench.picture",
    "bench.soak",
    "bench.openbao",
)


def main() -> None:
    # Each in a process of its own: what one leaves behind must not slow the next.
    failed = [part for part in PARTS if subprocess.run([sys.executable, "-m", part, *sys.argv[1:]], check=False).returncode]
    if failed:
        sys.exit(f"over budget, or failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
