# %% [markdown]
# # 01 · The life of an order
#
# One order is two workflows, and two records tell its story. You read both, take the workers away, and see what waits.
#
# **Afterwards you can**
# - say through which states an order goes, and where it can still turn back;
# - tell parent from child, and who does which step;
# - say what a task queue is, and what happens when nobody works on it;
# - put Temporal's history beside our events, and say which of the two to ask.
#
# It takes 15 minutes. Never started an order? Begin with `00_start_here`.

# %%
import pandas as pd

from orderkit.lab import Lab, source

lab = await Lab.start()

# %% [markdown]
# ## Round 1: states
#
# An order has a *state*: `received` is the first. When all goes well, `shipped` is the last.
#
# **Predict.** An order without a review ships. How often does its state change on the way?
#
# a) twice · b) six times · c) twenty times

# %%
await lab.orders.start("lamp", review="none")
await lab.orders.wait("lamp")

# %% [markdown]
# Our table `trellis_events` has a line for every change. It also has lines for attempts: those name a step, and we
# leave them out here.

# %%
events = await lab.orders.events("lamp")
events[events["step"] == ""][["type"]]

# %% [markdown]
# **Explain.** b: it begins as `received`, and then changes six times. PostgreSQL writes the new state and its event in
# one transaction: there is never one without the other.
#
# Which state may follow which? That is data, too:

# %%
from orderkit.core.orders import FORWARD, TRANSITIONS

rows = {state.value: ", ".join(sorted(TRANSITIONS[state])) for state in FORWARD}
pd.Series(rows).to_frame("may become")

# %% [markdown]
# **Explain.** Look for `compensating`: it is the way back, for an order that is cancelled or fails. Every line down to
# `prepared` has it. Once the carrier has the package, an order can only go forward: `dispatched` is the **point of no
# return**.
#
# You find this table in `orderkit/core/orders.py`. It needs no server, no clock and no network.

# %% [markdown]
# ## Round 2: parent and child
#
# Lesson 00 said that two steps run in a workflow of their own, a *child*.
#
# **Predict.** What does the parent's history say about its child? Think of what you would want to know of someone
# whom you gave a job.

# %%
history = await lab.orders.history("lamp")
history[history["type"].str.contains("CHILD_WORKFLOW")]

# %% [markdown]
# **Explain.** Three things: I asked for it, it has started, it is done. The parent does not see how. What the child
# does is in the child's own history:

# %%
history[history["workflow"] == "shipping-lamp"]

# %% [markdown]
# **Explain.** Pack, hand over, done: two activities. Why a child, and not two more steps of the parent? Shipping is
# another team's work: it has its own workers and its own history, and it can be started again as a whole.
#
# This is all of its code, from `orderkit/workflows/shipping.py`. Most of it is about what happens when no carrier can
# be had. (The code is shown as it is in your installation, so the test of this notebook does not compare it.)

# %% tags=["nbval-ignore-output"]
from orderkit.workflows.shipping import ShippingWorkflow

source(ShippingWorkflow)

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
# The lab's worker asks both. We send it home, and hire a clerk: a worker that asks `order-tq` only. On a server you
# would type `orderkit worker --queue order-tq`.

# %%
from orderkit.lessons.extra_worker import hire

await lab.workers.stop()
clerk = await hire(lab, "order-tq")

# %% [markdown]
# **Predict.** Nobody asks `shipping-tq` now. How far does the next order get?
#
# a) nowhere · b) it is charged, and stands still · c) it fails

# %%
await lab.orders.start("desk", review="none", deadline=120)
print(await lab.orders.wait("desk", until="charged"))

# %% [markdown]
# Charged. Does it get any further? We wait for 4 seconds, and print what the wait says when it gives up:

# %%
from orderkit.errors import WaitExpired

try:
    await lab.orders.wait("desk", within_seconds=4)
except WaitExpired as gave_up:
    print(gave_up)

# %% [markdown]
# **Explain.** b. The parent has asked for its child, and the child's work lies in `shipping-tq`. No error, no retry, no
# loss: it waits until somebody comes. We send our clerk home, and let the lab's worker come back:

# %%
await clerk.dismiss()
await lab.workers.start()
await lab.orders.wait("desk")

# %% [markdown]
# **Explain.** Shipped. Nobody had to tell the order. This is how you add workers, move them to another machine, or
# deploy a new version: the queue stands between.
#
# And it is the first thing to check when an order stands still: *does anybody poll its queue?* `await lab.doctor()`
# tells, and so does every wait that gives up.

# %% [markdown]
# ## Round 4: two records, side by side
#
# Now an order with trouble: its charge fails twice.

# %%
await lab.orders.start("sofa", review="none", faults="charge=error,error,ok")
await lab.orders.wait("sofa")

# %% [markdown]
# **Predict.** Charge was tried three times. How many of these attempts will you find in our table? How many in
# Temporal's history?

# %%
await lab.orders.attempts("sofa")

# %%
history = await lab.orders.history("sofa")
history[history["name"] == "charge_payment_activity"][["type", "name"]]

# %% [markdown]
# **Explain.** Our table has all three, with their errors. The history has one: scheduled, started, completed. To go on,
# a workflow needs only the end of a step, so Temporal keeps just that. (While a step is still being retried, look under
# *Pending Activities* in Temporal's UI.)
#
# But the history knows the *number* of the attempt that it kept. So both can be compared, step by step:

# %%
from orderkit.core.steps import ACTIVITY_STEPS

history = await lab.orders.history("sofa", full=True)
started = history[history["type"] == "ACTIVITY_TASK_STARTED"]
theirs = started.groupby("name")["attempt"].max().rename(ACTIVITY_STEPS).astype(int)
attempts = await lab.orders.attempts("sofa", full=True)
ours = attempts.groupby("step", sort=False)["attempt"].max()
pd.DataFrame({"last attempt in our events": ours, "in Temporal's history": theirs}).loc[ours.index]

# %% [markdown]
# **Explain.** They agree. Now the picture: it is drawn from our events, since only they have every attempt with its
# times. First the table that it draws:

# %%
await lab.orders.timeline("sofa")

# %%
await lab.charts.timeline("sofa")

# %% [markdown]
# **Explain.** Two records, two questions:
#
# | you want to know | ask |
# | --- | --- |
# | what a workflow has done and what it waits for: timers, children, messages | Temporal's history |
# | what each attempt did, how long it took, and what went wrong | our events |
# | what became of the money and the package | the ledger of those who have them |
#
# The auditor reads all three, and lists every disagreement:

# %%
await lab.audit()

# %% [markdown]
# ## Exercise
#
# A parent can have a second child. When no carrier can be had, the child gives up and signals its parent
# `dispatch_failed`, and the parent starts shipping again: `shipping-{order}-2`.
#
# Make it happen: start an order called `twins` that has **two** children, and ships. Wait for its end, then run the
# check.

# %% tags=["exercise"]
# <solution>
await lab.orders.start("twins", review="none", faults="dispatch=error,error,error,ok")
await lab.orders.wait("twins")
# </solution>

# %%
from orderkit.lessons import lesson_01

await lesson_01.two_children(lab)

# %% [markdown]
# ## Recap
#
# - An order moves along allowed **states**; after `dispatched` there is no way back.
# - `OrderWorkflow` is the **parent**, `ShippingWorkflow` its **child**, with an id and a history of its own.
# - Work waits in a **task queue** until a worker asks for it. Nobody asks: nothing is lost, nothing moves.
# - **History** is what the workflow needs to go on; **events** are what people need to understand.
#
# Want to know more? Look at *twins* in Temporal's UI: `await lab.orders.links("twins")`. Which of its two children
# is red?
#
# **Next:** `02_signals_and_updates`: talk to an order while it runs.
