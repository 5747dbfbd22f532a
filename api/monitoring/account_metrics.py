"""The metrics of the provider accounts: one value for each configured account, never more."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from pipeline.domain.routing import AccountState
from pipeline.operations.account_facts import AccountFacts

Value = Callable[[AccountFacts], float]

GAUGES: Mapping[str, tuple[str, Value]] = {
    "khronika_provider_paused": (
        "1 if the vendor has asked for a pause of the account's calls, else 0.",
        lambda account: account.paused_until is not None,
    ),
    "khronika_provider_problem": (
        "1 if the vendor refuses the account, else 0.",
        lambda account: account.problem is not None,
    ),
    "khronika_provider_on_probation": (
        "1 if the account gets few jobs until the outputs of one pass the gate, else 0.",
        lambda account: account.on_probation,
    ),
    "khronika_provider_rejected_successes": (
        "Successes of the account in a row whose outputs did not pass the gate.",
        lambda account: account.lies,
    ),
    "khronika_provider_jobs": (
        "Videos that are being processed at the account.",
        lambda account: account.jobs,
    ),
    "khronika_provider_releases_owed": (
        "Jobs that the account has still to end.",
        lambda account: account.releases_owed,
    ),
    "khronika_provider_spend_minutes": (
        "Minutes of video submitted to the account in this clock hour.",
        lambda account: account.hour.media_sec / 60,
    ),
    "khronika_provider_cost_hour": (
        "Estimated cost of encoding in this clock hour, in the operator's currency.",
        lambda account: account.hour_cost,
    ),
    "khronika_provider_cost_month": (
        "Estimated cost of encoding in this calendar month (UTC), in the operator's currency.",
        lambda account: account.month_cost,
    ),
}
"""The meaning of each metric, and its value."""


def account_metrics(accounts: Sequence[AccountFacts]) -> Iterator[Metric]:
    """Return the metrics of these accounts; a state that an account is not in is 0."""
    states = GaugeMetricFamily(
        "khronika_provider_state",
        "1 for the state that operators gave the account, 0 for the other states.",
        labels=["provider", "state"],
    )
    for account in accounts:
        for state in AccountState:
            states.add_metric([account.name, state.value], account.state is state)
    yield states
    for name, (meaning, value) in GAUGES.items():
        family = GaugeMetricFamily(name, meaning, labels=["provider"])
        for account in accounts:
            family.add_metric([account.name], value(account))
        yield family
