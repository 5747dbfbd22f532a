"""The metrics of the provider accounts: one value for each configured account, never more."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from pipeline.domain.routing import AccountState
from pipeline.operations.account_facts import AccountFacts
from pipeline.operations.metric_table import BY_NAME

Value = Callable[[AccountFacts], float]

GAUGES: Mapping[str, Value] = {
    "khronika_provider_paused": lambda account: account.paused_until is not None,
    "khronika_provider_problem": lambda account: account.problem is not None,
    "khronika_provider_on_probation": lambda account: account.on_probation,
    "khronika_provider_rejected_successes": lambda account: account.lies,
    "khronika_provider_jobs": lambda account: account.jobs,
    "khronika_provider_releases_owed": lambda account: account.releases_owed,
    "khronika_provider_spend_minutes": lambda account: account.hour.media_sec / 60,
    "khronika_provider_cost_hour": lambda account: account.hour_cost,
    "khronika_provider_cost_month": lambda account: account.month_cost,
}
"""The value of each metric."""


def account_metrics(accounts: Sequence[AccountFacts]) -> Iterator[Metric]:
    """Return the metrics of these accounts; a state that an account is not in is 0."""
    states = GaugeMetricFamily(
        "khronika_provider_state",
        BY_NAME["khronika_provider_state"].meaning,
        labels=["provider", "state"],
    )
    for account in accounts:
        for state in AccountState:
            states.add_metric([account.name, state.value], account.state is state)
    yield states
    for name, value in GAUGES.items():
        family = GaugeMetricFamily(name, BY_NAME[name].meaning, labels=["provider"])
        for account in accounts:
            family.add_metric([account.name], value(account))
        yield family
