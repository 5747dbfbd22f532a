import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("KHRONIKA_FUZZ_EXAMPLES", "300"))

settings.register_profile(
    "fuzz",
    max_examples=EXAMPLES,
    # A machine under load is no failure of the parser; endless work is caught by the whole run's
    # bound instead.
    deadline=None,
    derandomize="KHRONIKA_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fuzz")
