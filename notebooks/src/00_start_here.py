# %% [markdown]
# # 00 · Start here
#
# You start a real order, watch it go through Temporal, and break it twice.
#
# **Afterwards you can**
# - start an order, and say how it ended and why;
# - read how often each step was tried, in our own table and in Temporal's history;
# - find an order in Temporal's UI;
# - make a step fail on purpose.
#
# It takes 10 to 15 minutes.

# %% [markdown]
# **How to work.** `Shift+Enter` runs a cell and goes to the next one. While it works, the cell shows `[*]`.
#
# In every round you *predict*, *run* and *explain*. Under each question there is a cell that shows buttons: run it, and
# click on your prediction **before** you go on. You remember best what surprised you. After the round, click on
# *Explain* to open the explanation.
#
# Something looks wrong? Run `await lab.doctor()` in a new cell. It says what is wrong, and how to mend it.

# %% [markdown]
# ## The lab

# %%
from orderkit.lab import Lab, source
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
predictions = Predictions(lab.home, "00")
lab

# %% [markdown]
# These are four real programs on your machine. None of them needs the internet:
#
# - `postgres`: PostgreSQL holds the orders, and everything that happens to them;
# - `temporal`: the Temporal server remembers how far each workflow has got;
# - `worker-0`: a worker runs our code. It asks Temporal for work, does it, and reports the result;
# - `api`: the REST API. This notebook starts its orders there.
#
# Put `await` before every call that waits.

# %% [markdown]
# ## Round 1: the first order
#
# An order is received, validated, reviewed, charged, packed, handed to a carrier, and marked as shipped.
#
# **Predict.** Nothing goes wrong. How long does it take?
#
# a) no time that you would notice · b) about 2 seconds · c) about 15 seconds

# %%
predictions.ask(1)

# %%
await lab.orders.start("tea")

# %% [markdown]
# The order runs now, in the worker. The next cell waits for its end. Every wait has a limit, and says why when it gives
# up.

# %%
await lab.orders.wait("tea")

# %% [markdown] tags=["explain"]
# **b.** The steps themselves take milliseconds. But `review` gives a person 2 seconds to say no. Then a timer approves
# the order.
#
# Each ✔ is one attempt that succeeded.

# %% [markdown]
# ## Round 2: step by step
#
# **Predict.** A step may need several attempts. How many attempts did all the steps of *tea* need together?
#
# a) 7 · b) 14 · c) 21

# %%
predictions.ask(2)

# %%
await lab.orders.attempts("tea")

# %% [markdown] tags=["explain"]
# **a.** Seven steps, and each succeeded at its first attempt. In Temporal, a step like these is an *activity*: ordinary
# code that may fail and be tried again.

# %% [markdown]
# The worker writes the start and the end of each attempt into the table `trellis_events`. Changes of the order are
# events in the same table:

# %%
await lab.orders.timeline("tea")

# %% [markdown]
# (`order_approved` comes after the start of `charge`: that step first writes down the approval, then takes the money.)
#
# The same as a picture:

# %%
await lab.charts.timeline("tea")

# %% [markdown]
# The dotted line is the review's timer. It is *durable*: the Temporal server keeps it, and no process waits. So it
# survives a crash of any of them.
#
# The shaded steps run in a workflow of their own, `ShippingWorkflow`. It is a *child* of `OrderWorkflow`.

# %% [markdown]
# ## Round 3: what Temporal remembers
#
# The worker keeps nothing on disk. Temporal writes down every step of a workflow in the workflow's *history*.
#
# **Predict.** Which activities will the histories of *tea* and its child list?
#
# a) fewer than our table · b) more than our table · c) the same seven

# %%
predictions.ask(3)

# %%
history = await lab.orders.history("tea")
history[history["type"] == "ACTIVITY_TASK_SCHEDULED"]

# %% [markdown] tags=["explain"]
# **c.** The same seven; two of them are in the child's history. Different programs write our table and Temporal's
# history, and the two agree.

# %% [markdown]
# Now look at the history in Temporal's own UI:

# %% tags=["nbval-ignore-output"] why="port and id differ on each machine"
await lab.orders.links("tea")

# %% [markdown]
# (When a name is taken, the id gets a number: your order may be `order-tea-2` there. This notebook says *tea* all the
# same.)
#
# Click on the link, and find there:
#
# 1. the timeline with five activities and the child workflow. The other two activities are on the child's own page;
# 2. two timers: 2 seconds for the review, and 11 seconds for the deadline. An order must be decided within 15 seconds,
#    and the last 4 are kept for undoing it. Lesson 04 is about that;
# 3. under *Input and Results*, how the order ended. A workflow that completed is green, one that failed is red.
#
# These few lines of `OrderWorkflow` wrote that history:

# %% tags=["nbval-ignore-output"] why="shows the code as it is installed"
from orderkit.workflows.order import OrderWorkflow

source(OrderWorkflow._go_forward)

# %% [markdown]
# ## Round 4: a charge that fails
#
# `faults` says what goes wrong: here attempt 1 of `charge` fails, and attempt 2 succeeds. To save time, this order has
# no review.
#
# **Predict.** How does the order end, and how often does the customer pay?
#
# a) it fails, nobody pays · b) it ships, the customer pays once · c) it ships, the customer pays twice

# %%
predictions.ask(4)

# %%
await lab.orders.start("mug", review="none", faults="charge=error,ok")
await lab.orders.wait("mug")

# %%
await lab.orders.attempts("mug")

# %%
await lab.orders.ledger("mug")

# %% [markdown] tags=["explain"]
# **b.** No line of our workflow says "try again". Temporal waited a second and tried again, because the step's *retry
# policy* says so.
#
# The ledger is not ours. The payment provider and the carrier write it, so a second charge would be visible.

# %% [markdown]
# ## Round 5: the worker dies
#
# `crash` is real: in the middle of attempt 1 of `charge`, the worker process kills itself with `SIGKILL`. It saves
# nothing and tells nobody. The lab starts a new worker. `deadline=60` gives this order a minute, because a new worker
# takes a few seconds.
#
# **Predict.** What becomes of the order?
#
# a) it is lost · b) it starts again from the beginning · c) it goes on where it had stopped

# %%
predictions.ask(5)

# %%
await lab.orders.start("pot", review="none", faults="charge=crash,ok", deadline=60)
await lab.orders.wait("pot")

# %%
await lab.orders.attempts("pot")

# %%
await lab.charts.timeline("pot")

# %% [markdown] tags=["explain"]
# **c.** `receive` and `validate` have one attempt each. The new worker read the history, and went on where the old one
# had stopped.
#
# Attempt 1 of `charge` is `lost`: it has a start and no end. Temporal gave it 3 seconds to answer, waited a second, and
# gave attempt 2 to the new worker. After it there is a gap of another second: Temporal kept the workflow for the worker
# that had it in memory, and that worker was dead.

# %% [markdown]
# Can we trust that? The auditor compares Temporal's history, our tables and the ledger, for all three orders:

# %%
await lab.audit()

# %% [markdown]
# ## Exercise
#
# Start an order called `refill` whose charge fails **twice**, and which ships all the same. Wait for its end. Then run
# the check below. If something is missing you get a hint. Run it again for a clearer one.

# %% tags=["exercise"]
# <solution>
await lab.orders.start("refill", review="none", faults="charge=error,error,ok")
await lab.orders.wait("refill")
# </solution>

# %%
from orderkit.lessons import lesson_00

await lesson_00.two_failed_charges(lab)

# %%
predictions.score()

# %% [markdown]
# ## Recap
#
# - An order is a **workflow**. What can fail in it is an **activity**, and each try is an **attempt**.
# - **Temporal's history** is the workflow's memory. A worker can die at any time; the next one goes on from there.
# - Retries come from a policy, not from code in the workflow.
# - However often a step was tried, the **ledger** says that the customer paid once.
#
# Want to know more? What happens if charge fails three times? Try it, and read why the order ended.
#
# **Next:** [01_order_lifecycle](01_order_lifecycle.ipynb): parent and child, task queues, history and events.
#
# Everything keeps running until you stop `orderkit lab` with `Ctrl+C`. Your orders stay.
