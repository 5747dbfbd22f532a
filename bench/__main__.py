"""Every table, one after the other: `make bench`."""

import subprocess
import sys

TABLES = ("bench.encode", "bench.path", "bench.page")


def main() -> None:
    for module in TABLES:
        print(f"\n## {module}\n", flush=True)
        subprocess.run([sys.executable, "-m", module], check=True)


if __name__ == "__main__":
    main()
