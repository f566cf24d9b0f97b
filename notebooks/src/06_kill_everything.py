# %% [markdown]
# # 06 · Kill everything
#
# Four programs keep the shop running. You kill each of them with `SIGKILL`, in the middle of an order; in the end all
# four at once. No order is lost, and nobody pays twice.
#
# **Afterwards you can**
# - say what each program forgets when it dies, and who remembers it;
# - read in the attempts what was going on when a worker died;
# - show people a crash without being afraid of it.
#
# It takes about 15 minutes.

# %%
from orderkit.lab import Lab

lab = await Lab.start()
lab

# %% [markdown]
# `SIGKILL` is the hard way. The operating system takes the process away between two instructions. It cannot save, close
# or say anything. That is as bad as a pulled plug, or a container that ran out of memory.
#
# The lab has a supervisor. It starts again what died, as `systemd` or Kubernetes would.
#
# ## Round 1: the worker
#
# The worker runs our code. We kill it while it waits for the payment provider, who does not answer.
#
# **Predict.** How many attempts will `charge` have? And `receive`, which was over by then?
#
# a) both 1 · b) `charge` 2, `receive` 1 · c) both 2, the order starts again

# %%
await lab.orders.start("canoe", review="none", faults="charge=hang,ok", deadline=60)
await lab.orders.wait("canoe", until="charge")
await lab.workers.kill()
await lab.orders.wait("canoe")

# %%
await lab.orders.attempts("canoe")

# %%
await lab.charts.timeline("canoe")

# %% [markdown]
# **Explain.** b. Attempt 1 of `charge` is `lost`: it has a start, and nobody lived to write its end. Temporal gave it 3
# seconds, waited one more, and gave attempt 2 to the new worker. (The gap after it: for another second, Temporal kept
# the workflow for the worker that had it in memory, and that one was dead.)
#
# The new worker had never heard of *canoe*. It read the history, went through the workflow's code again with the
# answers that stand there, and so it arrived at `charge`. This is called **replay**.
#
# A worker remembers nothing, so it can forget nothing.

# %%
await lab.orders.ledger("canoe")

# %% [markdown]
# ## Round 2: the database
#
# PostgreSQL holds the orders, the events, and in our lab also the ledgers. This order waits for a person to approve it.
# Meanwhile we kill the database.
#
# **Predict.** What does PostgreSQL know of the order when it is back?
#
# a) nothing · b) everything up to the last backup · c) everything that it had ever said yes to

# %% tags=["kills-a-server"]
await lab.orders.start("ferry", review="human", policy="budget", deadline=3600)
await lab.orders.wait("ferry", until="in_review")
await lab.postgres.kill()
(await lab.orders.status("ferry")).state

# %% [markdown]
# **Explain.** c. PostgreSQL writes each change to its log on disk **before** it says yes. After the crash it reads the
# log and goes on.
#
# The order is still in review, and you are the person it waits for:

# %%
await lab.orders.approve("ferry", by="me")
(await lab.orders.wait("ferry")).state

# %%
events = await lab.orders.events("ferry")
events[events["step"] == ""][["type"]]

# %% [markdown]
# Each change of the order stands there once: the first three were written before the crash, the others after it. Had a
# step needed the database while it was away, its attempt would have failed, and Temporal would have tried again.
#
# ## Round 3: Temporal itself
#
# Now the server that remembers everything else. This order has a review of 3 seconds, then a timer approves it. The
# timer runs in the Temporal server, and that is what we kill.
#
# **Predict.** What happens to the timer?
#
# a) it is gone, the order waits for ever · b) it starts again from 0 · c) it goes off when it should, or as soon as the
# server is back

# %% tags=["kills-a-server"]
await lab.orders.start("raft", review_seconds=3, deadline=60)
await lab.orders.wait("raft", until="in_review")
await lab.temporal.kill()
(await lab.orders.wait("raft")).state

# %%
history = await lab.orders.history("raft")
history[history["type"].str.startswith("TIMER")]

# %% [markdown]
# **Explain.** c. A timer is not a sleeping thread. It is a line in the server's storage: *wake this workflow at that
# time*. Between `TIMER_STARTED` and `TIMER_FIRED` of timer 2, the server died. History does not show it, since nothing
# was lost. (Timer 1 is the order's deadline. It was cancelled because the order shipped in time.)
#
# Our server keeps its storage in one file. A real one keeps it in a database, on several machines.
#
# ## Round 4: the front door
#
# The API took the order. Then the API dies, and the customer's browser shows an error.
#
# **Predict.** Does the order notice?

# %%
await lab.orders.start("kayak", deadline=60)
await lab.api.kill()

# %% [markdown]
# The customer is not sure whether the order was taken. So the browser sends **the same request again** (that is what
# `fresh=False` does):

# %%
await lab.orders.start("kayak", deadline=60, fresh=False)
await lab.orders.wait("kayak")

# %%
await lab.orders.ledger("kayak")

# %% [markdown]
# **Explain.** The order did not notice. The API is only a door: behind it, the workflow goes its way.
#
# And it did no harm to ask twice. The order's id names the workflow, and the second request finds that it is there
# already: it starts nothing. That is lesson 05's idempotency key again, at another door.
#
# ## Round 5: all four
#
# Six orders at once, under the fault model of lesson 04: a third of all calls fails, another third hangs. When all six
# are under way, we kill the worker, the database, Temporal and the API.
#
# **Predict.** How many of the six ship? How many charges does the ledger have?

# %% tags=["kills-a-server"]
fleet = [f"boat{number}" for number in range(1, 7)]
for name in fleet:
    await lab.orders.start(name, review="none", policy="budget", faults="original", deadline=120)
await lab.workers.kill(wait=False)
await lab.postgres.kill(wait=False)
await lab.temporal.kill(wait=False)
await lab.api.kill(wait=False)

# %% [markdown]
# Everything is dead, and the supervisor is already starting it again. The next cell waits for all six orders: some 10
# seconds, on a busy machine up to a minute.

# %%
[await lab.orders.wait(name, within_seconds=90) for name in fleet]

# %%
import pandas as pd

ledger = await lab.orders.ledger(*fleet)
pd.crosstab(ledger["order"], ledger["kind"])

# %% [markdown]
# **Explain.** All six, each of them charged once and dispatched once.
#
# What the attempts looked like depends on the moment of the kill, so the test of this notebook does not compare them.
# Look whether a step is `completed` more than six times: then it was done, Temporal died before it heard of it, and had
# it done again. All our steps are safe to repeat, so nothing came of it.

# %% tags=["nbval-ignore-output"]
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
# The meanest moment for a crash: the provider **has taken the money**, and the worker dies before it can say so.
#
# Make it happen. Start an order called `tug`, and kill the worker at that moment. Attempt 1 of `charge` must be `lost`,
# and the money must have been taken by *that* attempt. Then run the check.

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

# %% [markdown]
# ## Recap
#
# | dies | forgets | who remembers |
# | --- | --- | --- |
# | worker | everything | Temporal's history; a new worker replays it |
# | PostgreSQL | nothing that it said yes to | its log on disk |
# | Temporal | nothing that it said yes to | its storage; timers too |
# | API | who is connected | nobody needs it: ask again with the same id |
#
# - An attempt whose worker died is **lost**: a start without an end. Temporal tries again after the time limit.
# - So each step will be done **at least once**. The keys of lesson 05 make of it: **exactly once**, seen from outside.
#
# How the lab kills and starts is in `orderkit/stack/controls.py`. For hundreds of kills in a row, there is
# `orderkit chaos`.
#
# **Next:** `07_bug_museum`: workflows as people write them, each with a bug that the auditor finds.
