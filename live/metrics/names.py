"""Every figure there is: its name, its kind, its labels and what it means. Dashboards and rules use no other."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Sample(NamedTuple):
    """One value of a metric. labels: their values, in the order of the metric's label names."""

    name: str
    labels: tuple[str, ...]
    value: float


class Metric(NamedTuple):
    """What a figure is. A counter only grows while its journal is the same, a gauge may fall."""

    kind: Literal["gauge", "counter"]
    labels: tuple[str, ...]
    help: str


def _gauge(text: str, *labels: str) -> Metric:
    return Metric("gauge", labels, text)


def _counter(text: str, *labels: str) -> Metric:
    return Metric("counter", labels, text)


_ACCOUNT = "account"

METRICS: dict[str, Metric] = {
    # the account
    "onetape_account_info": _gauge("1; what the account is.", _ACCOUNT, "strategy", "broker", "mode"),
    "onetape_state": _gauge("1 for the state the account is in.", _ACCOUNT, "state"),
    "onetape_up": _gauge("1 while its runner says how it stands.", _ACCOUNT),
    "onetape_silent_seconds": _gauge("Since its runner last said something; absent where it ended.", _ACCOUNT),
    "onetape_halted": _gauge("1 where no new positions are opened.", _ACCOUNT),
    "onetape_problem": _gauge("1 where a file of the account cannot be read.", _ACCOUNT),
    "onetape_rows_total": _counter("Rows decided on.", _ACCOUNT),
    "onetape_row_timestamp_seconds": _gauge("Time of the last row.", _ACCOUNT),
    # money
    "onetape_equity_dollars": _gauge("Cash and positions at the last row's closes.", _ACCOUNT),
    "onetape_cash_dollars": _gauge("Cash.", _ACCOUNT),
    "onetape_day_pnl_dollars": _gauge("Profit since the day's first row.", _ACCOUNT),
    "onetape_fees_dollars_total": _counter("Fees paid.", _ACCOUNT),
    "onetape_gross_dollars": _gauge("Positions at the last closes, long and short added.", _ACCOUNT),
    "onetape_position_shares": _gauge("Signed shares held.", _ACCOUNT, "symbol"),
    "onetape_position_pnl_dollars": _gauge("Profit of what is held.", _ACCOUNT, "symbol"),
    # orders
    "onetape_orders_total": _counter("Orders sent: first attempts and retries.", _ACCOUNT),
    "onetape_order_failures_total": _counter("Of those, refused or without an answer.", _ACCOUNT),
    "onetape_order_failure_ratio": _gauge("Failures among the last 100 orders sent, from 20 on.", _ACCOUNT),
    "onetape_fills_total": _counter("Executions.", _ACCOUNT),
    "onetape_denied_total": _counter("Orders a control kept back.", _ACCOUNT, "control"),
    "onetape_open_orders": _gauge("Orders that may still fill.", _ACCOUNT),
    "onetape_unknown_orders": _gauge("Of those, without an answer or in quarantine.", _ACCOUNT),
    "onetape_queue_orders": _gauge("Orders that wait to be sent.", _ACCOUNT),
    "onetape_execution_seconds": _gauge("First attempt to last fill of the last order; not on paper.", _ACCOUNT),
    "onetape_execution_fastest_of_ten_seconds": _gauge("Fastest of the last ten executions; not on paper.", _ACCOUNT),
    "onetape_alerts_total": _counter("Alerts the core gave.", _ACCOUNT, "name", "level"),
    # what it may do
    "onetape_headroom_used_ratio": _gauge("How much of a limit is used.", _ACCOUNT, "limit"),
    "onetape_api_requests_total": _counter("Requests to the broker, of every kind, in this process.", _ACCOUNT),
    "onetape_api_errors_total": _counter("Of those, failed: 429, 5xx, timeout, unreadable ...", _ACCOUNT, "kind"),
    "onetape_api_error_ratio": _gauge("Failures among the last 200 requests, from 50 on.", _ACCOUNT),
    "onetape_requests_used": _gauge("Requests to the broker in the last minute.", _ACCOUNT),
    "onetape_requests_limit": _gauge("Requests allowed in a minute.", _ACCOUNT),
    "onetape_requests_used_ratio": _gauge("Share of them that is used.", _ACCOUNT),
    "onetape_gate_closed": _gauge("1 for what must be in order and is not.", _ACCOUNT, "gate"),
    "onetape_reconciled_age_seconds": _gauge("Last row since the books last agreed with the broker's.", _ACCOUNT),
    "onetape_reconciliation_differences": _gauge("What the last comparison found.", _ACCOUNT),
    "onetape_certificate_left_seconds": _gauge("Until the certificate ends.", _ACCOUNT),
    "onetape_token_left_seconds": _gauge("Until the login's token ends.", _ACCOUNT),
    # the market
    "onetape_feed_stale": _gauge("1 where a source is not fresh.", _ACCOUNT, "feed"),
    "onetape_feed_age_seconds": _gauge("Since a source's last message.", _ACCOUNT, "feed"),
    "onetape_feed_level": _gauge("What a source gives: 2 L2, 1 L1, 0.5 bars, 0 nothing.", _ACCOUNT, "feed"),
    "onetape_feed_gaps_total": _counter("Gaps in a source's messages.", _ACCOUNT, "feed"),
    # the process
    "onetape_decision_seconds": _gauge("From row to commands.", _ACCOUNT, "quantile"),
    "onetape_wire_seconds": _gauge("From row to order on the wire.", _ACCOUNT, "quantile"),
    "onetape_memory_bytes": _gauge("Resident memory of the runner.", _ACCOUNT),
    "onetape_cpu_seconds_total": _counter("Processor time of the runner.", _ACCOUNT),
    "onetape_journal_bytes": _gauge("Journal and its log of changes.", _ACCOUNT),
    "onetape_log_bytes": _gauge("Log, rotated files too.", _ACCOUNT),
    # the host
    "onetape_market_open": _gauge("1 while the exchange is open, auctions and extended hours left out."),
    "onetape_accounts": _gauge("Account files found."),
    "onetape_host_trade_records": _gauge("Executions in all journals."),
    "onetape_host_memory_used_ratio": _gauge("Memory in use."),
    "onetape_host_cpu_used_ratio": _gauge("Processors in use since the last look."),
    "onetape_host_disk_used_ratio": _gauge("The fullest disk that holds state."),
    "onetape_host_disk_free_bytes": _gauge("Room left on it."),
    "onetape_llm_spent_dollars": _gauge("Spent on pattern notes this month."),
    "onetape_llm_budget_dollars": _gauge("Allowed for pattern notes a month."),
    "onetape_llm_budget_used_ratio": _gauge("Share of it that is spent."),
    "onetape_month_cost_dollars": _gauge("Fixed costs of a month and what was spent on notes in this one."),
    "onetape_alerts_silent_seconds": _gauge("Since the alert daemon last looked; absent where none ever did."),
    "onetape_look_seconds": _gauge("How long it took to read the accounts."),
}
