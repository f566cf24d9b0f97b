"""Calls that are forbidden in workflow code, why, and what to call instead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """`names` are whole dotted names, or end in a dot and mean all below."""

    names: tuple[str, ...]
    why: str
    instead: str

    def covers(self, name: str) -> bool:
        """Whether the rule is about this dotted name."""
        return any(name == each or (each.endswith(".") and name.startswith(each)) for each in self.names)


# The libraries whose functions wait without `await`: they hold up the event loop of an activity, too.
BLOCKING = ("requests.", "urllib.request.", "httpx.get", "httpx.post", "httpx.put", "httpx.delete", "httpx.request")

_OUTSIDE = "reaches outside; when the code is replayed it would do so again, and hear something else"
_ACTIVITY = "do it in an activity, and await workflow.execute_activity(…)"

RULES = (
    Rule(("time.sleep",), "stops the whole worker, and is forgotten when the worker dies", "await workflow.sleep(…)"),
    Rule(
        ("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
        "says something else when the code is replayed",
        "workflow.now()",
    ),
    Rule(
        ("time.time", "time.time_ns", "time.monotonic", "time.perf_counter"),
        "says something else when the code is replayed",
        "workflow.time()",
    ),
    Rule(("random.",), "draws something else when the code is replayed", "workflow.random(), which has the same calls"),
    Rule(("uuid.uuid1", "uuid.uuid4"), "makes another id when the code is replayed", "workflow.uuid4()"),
    Rule(("secrets.", "os.urandom"), "makes something else when the code is replayed", _ACTIVITY),
    Rule(("requests.", "httpx.", "aiohttp.", "urllib.request.", "socket.", "smtplib."), _OUTSIDE, _ACTIVITY),
    Rule(("asyncpg.", "psycopg.", "psycopg2.", "sqlite3.", "boto3.", "subprocess.", "os.system"), _OUTSIDE, _ACTIVITY),
    Rule(("open", "pathlib."), "is a file of this machine; the next worker may run on another one", _ACTIVITY),
    Rule(("os.environ", "os.getenv"), "differs from worker to worker", "give it to the workflow as its input"),
    Rule(
        ("threading.", "concurrent.", "multiprocessing.", "asyncio.to_thread"),
        "runs beside the workflow, in an order that nobody records",
        "await asyncio.gather(…), or an activity",
    ),
    Rule(("input",), "waits for a keyboard, and a workflow has none", "a signal, and await workflow.wait_condition(…)"),
    Rule(("asyncio.run",), "starts an event loop, and the workflow runs in one already", "await"),
)


def rule_for(name: str) -> Rule | None:
    """The rule against a call from workflow code, if there is one."""
    if name == "random.Random":
        return None  # it has a seed of its own
    return next((rule for rule in RULES if rule.covers(name)), None)
