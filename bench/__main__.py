"""All benchmarks, one after the other, as `make bench` runs them."""

import subprocess
import sys

BENCHMARKS = (
    "bench.encode_cost",
    "bench.completion_time",
    "bench.callback_time",
    "bench.provider_pace",
    "bench.page_load",
)


def main() -> None:
    for module in BENCHMARKS:
        print(f"\n## {module}\n", flush=True)
        subprocess.run([sys.executable, "-m", module], check=True)


if __name__ == "__main__":
    main()
