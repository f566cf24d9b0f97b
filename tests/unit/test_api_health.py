"""Who counts as a live worker."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat

from orderkit.api.health import WorkerRoll

START = 1_700_000_000.0


def beat(
    at: float,
    *,
    key: str = "w1",
    queue: str = "order-tq",
    interval: float = 1,
    status: WorkerStatus.ValueType | None = None,
) -> WorkerHeartbeat:
    """A heartbeat that the worker sent `at` seconds after START, by its own clock."""
    sent, elapsed = Timestamp(), Duration()
    sent.FromNanoseconds(int((START + at) * 1e9))
    elapsed.FromMilliseconds(int(interval * 1_000))
    return WorkerHeartbeat(
        worker_instance_key=key,
        task_queue=queue,
        status=WorkerStatus.WORKER_STATUS_RUNNING if status is None else status,
        heartbeat_time=sent,
        elapsed_since_last_heartbeat=elapsed,
    )


def look(roll: WorkerRoll, at: float, *beats: WorkerHeartbeat) -> dict[str, int]:
    return roll.alive(list(beats), START + at, at)


def test_workers_count_on_their_own_queue() -> None:
    beats = [beat(0), beat(0, key="w2"), beat(0, key="w3", queue="shipping-tq"), beat(0, key="w4", queue="other")]
    assert look(WorkerRoll(), 0.5, *beats) == {"order-tq": 2, "shipping-tq": 1}


def test_a_silent_worker_is_gone_after_three_seconds() -> None:
    roll = WorkerRoll()
    assert look(roll, 0.1, beat(0))["order-tq"] == 1
    assert look(roll, 3.0, beat(0))["order-tq"] == 1
    assert look(roll, 3.2, beat(0))["order-tq"] == 0
    assert look(roll, 4.0, beat(4.0))["order-tq"] == 1


def test_a_worker_that_died_before_we_looked_does_not_count() -> None:
    assert look(WorkerRoll(), 100, beat(0))["order-tq"] == 0


def test_a_worker_with_slow_heartbeats_is_waited_for() -> None:
    roll = WorkerRoll()
    assert look(roll, 100, beat(0, interval=60))["order-tq"] == 1
    assert look(roll, 122, beat(0, interval=60))["order-tq"] == 0


def test_a_worker_that_died_in_its_first_second_is_missed_soon() -> None:
    roll = WorkerRoll()
    assert look(roll, 0.1, beat(0, interval=0))["order-tq"] == 1
    assert look(roll, 5.2, beat(0, interval=0))["order-tq"] == 0


def test_a_worker_whose_clock_is_wrong_counts_by_ours() -> None:
    roll = WorkerRoll()
    for at in range(10):
        counted = look(roll, at, beat(at - 3600))
    assert counted["order-tq"] == 1
    assert look(roll, 14, beat(9 - 3600))["order-tq"] == 0


def test_a_worker_that_shuts_down_does_not_count() -> None:
    leaving = beat(0, status=WorkerStatus.WORKER_STATUS_SHUTTING_DOWN)
    assert look(WorkerRoll(), 0.1, leaving) == {"order-tq": 0, "shipping-tq": 0}
