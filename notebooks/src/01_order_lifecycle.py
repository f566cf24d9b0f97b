# %% [markdown]
# # 01 · The life of an order
#
# One order is two workflows, and several records tell its story. You read them, take the workers away, and run an
# order's code a second time.
#
# **Afterwards you can**
# - say through which states an order goes, and where it can still turn back;
# - tell parent from child, and say what a task queue is;
# - say which record to ask: Temporal's history, our events, or the ledger;
# - say what *replay* is, and what workflow code may not do because of it.
#
# It takes 20 minutes. Never started an order? Begin with [00_start_here](00_start_here.ipynb).

# %%
import pandas as pd

from orderkit.lab import Lab, source
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
predictions = Predictions(lab.home, "01")

# %% [markdown]
# ## Round 1: states
#
# An order has a *state*: `received` is the first. When all goes well, `shipped` is the last.
#
# **Predict.** An order without a review ships. How often does its state change on the way?
#
# a) twice · b) six times · c) twenty times

# %%
predictions.ask(1)

# %%
await lab.orders.start("lamp", review="none")
await lab.orders.wait("lamp")

# %% [markdown]
# Our table `trellis_events` has a row for every change. Its other rows are attempts; they name a step, and we leave
# them out here:

# %%
events = await lab.orders.events("lamp")
events[events["step"] == ""][["type"]]

# %% [markdown] tags=["explain"]
# **b.** The order begins as `received`, and then its state changes six times. PostgreSQL writes the new state and its
# event in one transaction, so there is never one without the other.

# %% [markdown]
# Which state may follow which? That is data, too:

# %%
from orderkit.core.orders import FORWARD, TRANSITIONS

rows = {state.value: ", ".join(sorted(TRANSITIONS[state])) for state in FORWARD}
pd.Series(rows).to_frame("may become")

# %% [markdown]
# Look for `compensating`: an order that is cancelled or fails turns back there. Every state from `received` to
# `prepared` can turn back. Once the carrier has the package, an order can only go forward: `dispatched` is the **point
# of no return**.
#
# This table is in `orderkit/core/orders.py`.

# %% [markdown]
# ## Round 2: parent and child
#
# Lesson 00 said that two steps run in a workflow of their own, a *child*.
#
# **Predict.** What does the parent's history say about its child?
#
# a) that it was started, and how it ended · b) every activity of the child · c) nothing

# %%
predictions.ask(2)

# %%
history = await lab.orders.history("lamp")
history[history["type"].str.contains("CHILD_WORKFLOW")]

# %% [markdown] tags=["explain"]
# **a.** Three events: the parent asked for the child, the child started, the child completed. The parent does not see
# how.

# %% [markdown]
# The child has a history of its own:

# %%
history[history["workflow"] == "shipping-lamp"]

# %% [markdown]
# Why a child, and not two more steps of the parent? Shipping is another team's work. It has its own workers and its own
# history, and it can be started again as a whole. All of its code is in `orderkit/workflows/shipping.py`.

# %% [markdown]
# ## Round 3: task queues
#
# Temporal never calls a worker. It puts work into a *task queue*, and workers come and ask for it. There are two here:
#
# | queue | work in it |
# | --- | --- |
# | `order-tq` | `OrderWorkflow` and its activities |
# | `shipping-tq` | `ShippingWorkflow` and its activities |
#
# The lab's worker asks both queues. We stop it and start a clerk instead: a worker that asks `order-tq` only. On a
# server you would type `orderkit worker --queue order-tq`.

# %%
from orderkit.lessons.extra_worker import hire

await lab.workers.stop()
clerk = await hire(lab, "order-tq")

# %% [markdown]
# **Predict.** No worker asks `shipping-tq` now. How far does the next order get?
#
# a) nowhere · b) it fails · c) it is charged, and then waits

# %%
predictions.ask(3)

# %%
await lab.orders.start("desk", review="none", deadline=120)
print(await lab.orders.wait("desk", until="charged"))

# %% [markdown]
# Does it get any further? We wait for 4 seconds, and print what the wait says when it gives up:

# %%
from orderkit.errors import WaitExpired

try:
    await lab.orders.wait("desk", within_seconds=4)
except WaitExpired as gave_up:
    print(gave_up)

# %% [markdown] tags=["explain"]
# **c.** The parent has asked for its child, and the child's work lies in `shipping-tq`. Nothing fails, nothing is tried
# again, nothing is lost: the work waits until a worker asks for it.

# %% [markdown]
# We stop the clerk, and start the lab's worker again:

# %%
await clerk.dismiss()
await lab.workers.start()
await lab.orders.wait("desk")

# %% [markdown]
# Shipped, and nobody had to tell the order. In the same way you add workers, move them to another machine, or deploy a
# new version.
#
# When an order stands still, check this first: *does a worker poll its queue?* `await lab.doctor()` says so, and so
# does every wait that gives up.

# %% [markdown]
# ## Round 4: which record?
#
# Now an order whose charge fails twice:

# %%
await lab.orders.start("sofa", review="none", faults="charge=error,error,ok")
await lab.orders.wait("sofa")

# %% [markdown]
# **Predict.** Charge was tried three times. How many of these attempts are in our table, and how many in Temporal's
# history?
#
# a) 3 and 3 · b) 3 and 1 · c) 1 and 3

# %%
predictions.ask(4)

# %%
await lab.orders.attempts("sofa")

# %%
history = await lab.orders.history("sofa", full=True)
history[history["name"] == "charge_payment_activity"][["type", "attempt"]].reset_index(drop=True)

# %% [markdown] tags=["explain"]
# **b.** Our table has all three, with their errors. The history has only the last one, with its number. A workflow
# needs the result of a step to go on, and Temporal keeps just that. (While a step is being retried, Temporal's UI shows
# it under *Pending Activities*.)

# %% [markdown]
# So there are three records:
#
# | you want to know | ask |
# | --- | --- |
# | what a workflow did and what it waits for: timers, children, messages | Temporal's history |
# | what each attempt did, how long it took, and what went wrong | our events |
# | where the money and the package are | the ledger |
#
# The auditor reads all three, and lists every disagreement:

# %%
await lab.audit()

# %% [markdown]
# ## Round 5: the same code, once more
#
# A new worker knows nothing of a running order. It runs the workflow's code **from the first line**. Whenever the code
# asks for a step that is in the history already, Temporal's SDK gives it the result from there. This is called
# **replay**. We do it by hand, with the history of *lamp*:
#
# **Predict.** The code of *lamp* runs again, from its first line to its last. How often is the customer charged?
#
# a) not at all · b) once more · c) once more, and the provider refuses

# %%
predictions.ask(5)

# %%
from orderkit.lessons.replay import first_failure, replay

await replay(lab, "lamp")

# %% [markdown] tags=["explain"]
# **a.** The workflow's code ran again. Its activities did not: their results are in the history. (The child ran the two
# other activities, and has their results in a history of its own.)
#
# So a workflow must make the same decisions each time it runs. If it asked for another step than the history has, it
# could not go on.

# %% [markdown]
# This workflow decides by the computer's clock:

# %%
from orderkit.lessons.impatient_order import ImpatientOrder

source(ImpatientOrder)

# %% [markdown]
# **Predict.** It starts at 17:59, its worker dies, and the code is replayed at 18:01. What does Temporal do about such
# code?
#
# a) it replays with the other decision · b) it fails the order · c) it does not let the code ask the clock

# %%
predictions.ask("5b")

# %%
print(await first_failure(lab, ImpatientOrder))

# %% [markdown] tags=["explain"]
# **c.** Workflow code runs in a **sandbox**, and the sandbox refuses what could give another answer next time. The
# workflow does not fail: Temporal tries the same *workflow task* again and again, until you mend the code.
#
# | workflow code may not | it uses |
# | --- | --- |
# | ask the clock: `datetime.now()`, `time.time()` | `workflow.now()` |
# | draw at random: `random`, `uuid4()` | `workflow.random()`, `workflow.uuid4()` |
# | call a network, a database, a file | an activity |
# | block: `time.sleep()`, threads | `workflow.sleep()`, a durable timer |
#
# The same holds for variables. A variable of the workflow survives a crash, because replay computes it again. A global
# variable does not.

# %% [markdown]
# ## Exercise
#
# A parent can have a second child. When the child can find no carrier, it gives up and signals its parent
# `dispatch_failed`. The parent then starts shipping again, as `shipping-{order}-2`.
#
# Make that happen: start an order called `twins` that has **two** children, and ships. Wait for its end, then run the
# check.

# %% tags=["exercise"]
# <solution>
await lab.orders.start("twins", review="none", faults="dispatch=error,error,error,ok")
await lab.orders.wait("twins")
# </solution>

# %%
from orderkit.lessons import lesson_01

await lesson_01.two_children(lab)

# %%
predictions.score()

# %% [markdown]
# ## Recap
#
# - An order goes through **states**. After `dispatched` it cannot turn back.
# - `OrderWorkflow` is the **parent**, `ShippingWorkflow` its **child**, with an id and a history of its own.
# - Work waits in a **task queue** until a worker asks for it.
# - **Replay** runs workflow code again with the results in its history. So workflow code must decide the same each
#   time: no clock, no random numbers, no network.
#
# Want to know more? Look at *twins* in Temporal's UI: `await lab.orders.links("twins")`. Which of its two children
# is red?
#
# **Next:** [02_signals_and_updates](02_signals_and_updates.ipynb): talk to an order while it runs.
