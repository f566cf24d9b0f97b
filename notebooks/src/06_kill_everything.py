# %% [markdown]
# # 06 · Kill everything
#
# Four programs keep the shop running. You kill each of them with `SIGKILL` in the middle of an order, and in the end
# all four at once.
#
# **Afterwards you can**
# - say what each program forgets when it dies, and who remembers it;
# - read in the attempts what was going on when a worker died;
# - show a crash to other people, and say beforehand how it ends.
#
# It takes 15 to 20 minutes.

# %%
from orderkit.lab import Lab
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
predictions = Predictions(lab.home, "06")
lab

# %% [markdown]
# `SIGKILL` is the hard way. The operating system takes the process away between two instructions: it cannot save, close
# or say anything. A pulled plug does the same, and a container that runs out of memory.
#
# The lab has a supervisor that starts a dead program again, as `systemd` or Kubernetes would.
#
# ## Round 1: the worker
#
# The worker runs our code. We kill it while it waits for an answer of the payment provider.
#
# **Predict.** How many attempts will `charge` have? And `receive`, which was over by then?
#
# a) both 1 · b) `charge` 2, `receive` 1 · c) both 2, the order starts again

# %%
predictions.ask(1)

# %%
await lab.orders.start("canoe", review="none", faults="charge=hang,ok", deadline=60)
await lab.orders.wait("canoe", until="charge")
await lab.workers.kill()
await lab.orders.wait("canoe")

# %%
await lab.orders.attempts("canoe")

# %%
await lab.charts.timeline("canoe")

# %% [markdown] tags=["explain"]
# **b.** Attempt 1 of `charge` is `lost`. Temporal gave it 3 seconds, waited one more, and gave attempt 2 to the new
# worker.
#
# The new worker had never heard of *canoe*. It read the history and **replayed** the workflow's code, as in lesson 01.
# So it arrived at `charge`. A worker remembers nothing, so it can forget nothing.

# %%
await lab.orders.ledger("canoe")

# %% [markdown]
# ## Round 2: the database
#
# PostgreSQL holds the orders, the events, and in our lab also the ledgers. This order waits for a person's approval.
# Meanwhile we kill the database.
#
# **Predict.** What does PostgreSQL know of the order when it is back?
#
# a) everything that it had ever said yes to · b) everything up to the last backup · c) nothing

# %%
predictions.ask(2)

# %% tags=["kills-a-server"]
await lab.orders.start("ferry", review="human", policy="budget", deadline=3600)
await lab.orders.wait("ferry", until="in_review")
await lab.postgres.kill()
(await lab.orders.status("ferry")).state

# %% [markdown] tags=["explain"]
# **a.** PostgreSQL writes each change to its log on disk **before** it says yes. After a crash it reads the log and
# goes on.

# %% [markdown]
# The order is still in review, and you are the person whom it waits for:

# %%
await lab.orders.approve("ferry", by="me")
(await lab.orders.wait("ferry")).state

# %%
events = await lab.orders.events("ferry")
events[events["step"] == ""][["type"]]

# %% [markdown]
# Each change is there once: the first three from before the crash, the others from after it.
#
# And if a step needs the database while it is away? We kill PostgreSQL during a charge, and the supervisor starts it
# again a second later:

# %% tags=["kills-a-server"]
await lab.orders.start(
    "barge", review="none", policy="budget", faults="charge=slow(200)", deadline=60
)
await lab.orders.wait("barge", until="charge")
await lab.postgres.kill(away_seconds=1)
(await lab.orders.wait("barge")).state

# %% [markdown]
# The attempt failed and could not even write down its end, so our table calls it `lost`. Temporal tried again. Numbers
# that are missing belong to attempts that could not write down their start either:

# %% tags=["nbval-ignore-output"] why="how often it is tried depends on how soon PostgreSQL is back"
attempts = await lab.orders.attempts("barge")
attempts[attempts["step"] == "charge"]

# %% [markdown]
# ## Round 3: Temporal itself
#
# Now the server that remembers everything else. This order has a review of 1 second, and then a timer approves it. The
# Temporal server keeps the timer. We kill the server, and it stays away for 3 seconds.
#
# **Predict.** What happens to the timer?
#
# a) it is gone, and the order waits for ever · b) it fires as soon as the server is back · c) it starts again from 0

# %%
predictions.ask(3)

# %% tags=["kills-a-server"]
await lab.orders.start("raft", review_seconds=1, deadline=60)
await lab.orders.wait("raft", until="in_review")
await lab.temporal.kill(away_seconds=3)
(await lab.orders.wait("raft")).state

# %%
history = await lab.orders.history("raft")
history[history["type"].str.startswith("TIMER")]

# %% [markdown] tags=["explain"]
# **b.** A timer is not a sleeping thread. It is a line in the server's storage: *wake this workflow at that time*.
# Timer 2 is the review's, and the server died between its `TIMER_STARTED` and its `TIMER_FIRED`. The history does not
# show that, since nothing was lost. (Timer 1 is the order's deadline. It was cancelled, because the order shipped in
# time.)

# %% [markdown]
# How long after its start did timer 2 fire, in seconds? It was due after 1:

# %% tags=["nbval-ignore-output"] why="the time that a server needs to start differs"
history = await lab.orders.history("raft", full=True)
timers = history[history["type"].str.startswith("TIMER")]
started, fired = timers[timers["name"] == "2"]["ts"]
round((fired - started).total_seconds(), 1)

# %% [markdown]
# Our server keeps its storage in one file. A real one keeps it in a database, on several machines.
#
# ## Round 4: the API
#
# The API took the order. Then the API dies, and the customer's browser shows an error. The customer is not sure whether
# the order was taken, so the browser sends **the same request again** (`fresh=False` does that).
#
# **Predict.** What does the order notice of all this?
#
# a) it stops until the API is back · b) the second request starts it again · c) nothing

# %%
predictions.ask(4)

# %%
await lab.orders.start("kayak", deadline=60)
await lab.api.kill()
await lab.orders.start("kayak", deadline=60, fresh=False)
await lab.orders.wait("kayak")

# %%
await lab.orders.ledger("kayak")

# %% [markdown] tags=["explain"]
# **c.** The workflow runs in the worker, and does not need the API. The second request did no harm either: the order's
# id names the workflow, and Temporal found that it was there already. It is lesson 05's idempotency key once more.

# %% [markdown]
# ## Round 5: all four
#
# Six orders at once, under the fault model of lesson 04: a third of all calls fails, another third hangs. When all six
# are under way, we kill the worker, the database, Temporal and the API.
#
# **Predict.** What becomes of the six orders?
#
# a) none ships · b) all six ship, each charged once · c) some ship, the others are refunded

# %%
predictions.ask(5)

# %% tags=["kills-a-server"]
fleet = [f"boat{number}" for number in range(1, 7)]
for name in fleet:
    await lab.orders.start(name, review="none", policy="budget", faults="original", deadline=120)
await lab.workers.kill(wait=False)
await lab.postgres.kill(wait=False)
await lab.temporal.kill(wait=False)
await lab.api.kill(wait=False)

# %% [markdown]
# Everything is dead, and the supervisor is starting it again. The next cell waits for all six orders: about 10 seconds,
# on a busy machine up to a minute.

# %%
[await lab.orders.wait(name, within_seconds=90) for name in fleet]

# %%
import pandas as pd

ledger = await lab.orders.ledger(*fleet)
pd.crosstab(ledger["order"], ledger["kind"])

# %% [markdown] tags=["explain"]
# **b.** Each of them was charged once and dispatched once.

# %% [markdown]
# What happened to the attempts depends on the moment of the kill. Is a step `completed` more than six times? Then it
# was done, Temporal died before it heard of it, and the step was done again. All our steps are safe to repeat, so it
# did no harm.

# %% tags=["nbval-ignore-output"] why="depends on the moment of the kill"
attempts = await lab.orders.attempts(*fleet)
pd.crosstab(attempts["step"], attempts["outcome"])

# %%
await lab.charts.attempts(*fleet)

# %% [markdown]
# And now the auditor, for all orders of this notebook:

# %%
await lab.audit()

# %% [markdown]
# ## Exercise
#
# The meanest moment for a crash: the provider **has taken the money**, and the worker dies before it can say so. In
# lesson 05 the fault `crash_after` did that. Now you do it, with `lab.workers.kill()`.
#
# Start an order called `tug`, and kill the worker at that moment. Attempt 1 of `charge` must be `lost`, and *that*
# attempt must have taken the money. Then run the check.

# %% tags=["exercise"]
# <solution>
await lab.orders.start("tug", review="none", faults="charge=hang_after", deadline=60)
await lab.orders.wait("tug", until="charged")
await lab.workers.kill()
await lab.orders.wait("tug")
# </solution>

# %%
from orderkit.lessons.lesson_06 import charged_by_the_dead

await charged_by_the_dead(lab)

# %%
predictions.score()

# %% [markdown]
# ## Recap
#
# | dies | forgets | who remembers |
# | --- | --- | --- |
# | worker | everything | Temporal's history; a new worker replays it |
# | PostgreSQL | nothing that it said yes to | its log on disk |
# | Temporal | nothing that it said yes to | its storage, with the timers |
# | API | who is connected | nobody needs to: ask again with the same id |
#
# - An attempt whose worker died is **lost**: a start without an end. Temporal tries again after the time limit.
# - So each step is done **at least once**. With the keys of lesson 05 it counts **exactly once**, seen from outside.
#
# The code that kills and starts is in `orderkit/stack/controls.py`. `orderkit chaos` does hundreds of kills in a row.
#
# **Next:** [07_bug_museum](07_bug_museum.ipynb): workflows as people write them, each with a bug that the auditor
# finds.
