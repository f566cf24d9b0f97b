# %% [markdown]
# # 00 · Start here
#
# You start a real order, watch it go through Temporal, and break it twice.
# It ships all the same, and the customer pays once.
#
# **Afterwards you can**
# - start an order and say how it ended, and why;
# - read which step was tried how often, in our own table and in Temporal's history;
# - find an order in Temporal's UI;
# - make a step fail on purpose.
#
# It takes 10 to 15 minutes.

# %% [markdown]
# **How to work.** `Shift+Enter` runs a cell and goes to the next one. While it works, the cell shows `[*]`.
#
# Every round is *predict → run → explain*. Say your prediction aloud, or write it down, **before** you run the cell:
# you remember what surprised you.
#
# Something looks wrong? Run `await lab.doctor()` in a new cell. It says what is wrong and how to mend it.

# %% [markdown]
# ## The lab

# %%
from orderkit.lab import Lab, source

lab = await Lab.start()
lab

# %% [markdown]
# Four real programs, all on your machine; none needs the internet:
#
# - `postgres`: PostgreSQL holds the orders and everything that happens to them;
# - `temporal`: the Temporal server remembers how far each workflow has got;
# - `worker-0`: a worker runs our code; it asks Temporal for work, does it, and reports;
# - `api`: the REST API, through which this notebook starts orders.
#
# You write `await` before what takes time.

# %% [markdown]
# ## Round 1: the first order
#
# An order is received, validated, reviewed, charged, packed, handed to a carrier, and marked as shipped.
#
# **Predict.** Nothing goes wrong. How long does it take?
#
# a) no time that you could notice · b) about 2 seconds · c) about 15 seconds

# %%
await lab.orders.start("tea")

# %% [markdown]
# It runs now, in the worker. The next cell waits for its end. No wait is endless here: when one gives up, it says why.

# %%
await lab.orders.wait("tea")

# %% [markdown]
# **Explain.** b. The steps themselves take milliseconds. But `review` gives a person 2 seconds to say no; then a timer
# approves.
#
# Each ✔ is one attempt of a step that went well.

# %% [markdown]
# ## Round 2: step by step
#
# **Predict.** A step may need several attempts. How many attempts did all the steps of *tea* need together?
#
# a) 1 · b) 7 · c) 14

# %%
await lab.orders.attempts("tea")

# %% [markdown]
# **Explain.** b: seven steps, one attempt each. Each attempt is an *activity* in Temporal: ordinary code that may
# fail and be tried again.
#
# Attempts write their start and their end into the table `trellis_events`. What they change in the order is there, too:

# %%
await lab.orders.timeline("tea")

# %% [markdown]
# The same as a picture:

# %%
await lab.charts.timeline("tea")

# %% [markdown]
# **Explain.** The dotted line is the review's timer. It is *durable*: Temporal holds it and no process waits, so it
# would outlive a crash of any of them.
#
# The shaded steps run in a workflow of their own, `ShippingWorkflow`. It is a *child* of `OrderWorkflow`.

# %% [markdown]
# ## Round 3: what Temporal remembers
#
# The worker keeps nothing on disk. Temporal writes down each thing that a workflow does: its *history*.
#
# **Predict.** Which activities will the history list? The same seven, fewer, or more?

# %%
history = await lab.orders.history("tea")
history[history["type"] == "ACTIVITY_TASK_SCHEDULED"]

# %% [markdown]
# **Explain.** The same seven; two of them are in the child's history. Our table and Temporal's history are written by
# different programs, and they agree.
#
# Now look at the history in Temporal's own UI. (The address is different on every machine, so the test of this
# notebook does not compare it.)

# %% tags=["nbval-ignore-output"]
await lab.orders.links("tea")

# %% [markdown]
# Click on it, and find there:
#
# 1. the timeline with the seven activities, and the timer between them;
# 2. under *Input and Results*, how the order ended;
# 3. under *Relationships*, the child workflow.
#
# What you see there was written by these few lines, the way forward of `OrderWorkflow`. (The code is shown as it is
# in your installation, so the test does not compare it.)

# %% tags=["nbval-ignore-output"]
from orderkit.workflows.order import OrderWorkflow

source(OrderWorkflow._go_forward)

# %% [markdown]
# ## Round 4: a charge that fails
#
# `faults` says what goes wrong: here the first attempt of `charge` fails, and the second is fine. To save time, this
# order has no review.
#
# **Predict.** How does the order end? And how often does the customer pay?

# %%
await lab.orders.start("mug", review="none", faults="charge=error,ok")
await lab.orders.wait("mug")

# %%
await lab.orders.attempts("mug")

# %%
await lab.orders.ledger("mug")

# %% [markdown]
# **Explain.** Shipped, and paid once. No line of our workflow says "try again": Temporal waited a second and tried
# again, because the step's *retry policy* says so.
#
# The ledger is not ours. It is what the payment provider and the carrier have written down, so a second charge would
# show.

# %% [markdown]
# ## Round 5: the worker dies
#
# `crash` is real: in the middle of its first `charge`, the worker process ends itself with `SIGKILL`. Nothing is
# saved and nobody says goodbye. The lab starts a new worker.
#
# **Predict.** Is the order lost? Does it start from the beginning?

# %%
await lab.orders.start("pot", review="none", faults="charge=crash,ok", deadline=60)
await lab.orders.wait("pot")

# %%
await lab.orders.attempts("pot")

# %%
await lab.charts.timeline("pot")

# %% [markdown]
# **Explain.** Not lost, and not from the beginning: `receive` and `validate` have one attempt each. The new worker
# read the history and went on where the old one had stopped.
#
# Attempt 1 of `charge` is `lost`: it started, and nobody wrote its end, so its black bar reaches to attempt 2. Temporal
# gave it 3 seconds to answer, waited a second, and gave attempt 2 to the new worker. The gap after it: for another
# second, Temporal kept the workflow for the worker that had it in memory, which was dead.
#
# Can we trust that? The auditor compares Temporal's history, our tables, and the ledger, for all three orders:

# %%
await lab.audit()

# %% [markdown]
# ## Exercise
#
# Start an order called `refill` whose charge fails **twice** and which ships all the same. Wait for its end.
# Then run the check below. If it is not content, it has a hint, and a plainer one the next time.

# %% tags=["exercise"]
# <solution>
await lab.orders.start("refill", review="none", faults="charge=error,error,ok")
await lab.orders.wait("refill")
# </solution>

# %%
from orderkit.lessons import lesson_00

await lesson_00.two_failed_charges(lab)

# %% [markdown]
# ## Recap
#
# - An order is a **workflow**; what can fail in it is an **activity**, and each try is an **attempt**.
# - **Temporal's history** is the workflow's memory. A worker can die at any time; the next one goes on from there.
# - Retries come from a policy, not from code in the workflow.
# - However often a step was tried, the **ledger** says that the customer paid once.
#
# Want to know more? What happens if charge fails three times? Try it, and read why the order ended.
#
# **Next:** [01_order_lifecycle](01_order_lifecycle.ipynb): parent and child, task queues, and history beside events.
#
# Everything keeps running until you stop `orderkit lab` with `Ctrl+C`; your orders stay.
