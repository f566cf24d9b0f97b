# %% [markdown]
# # 05 · The money is right
#
# Answers get lost. Charges arrive late. Somebody ends a workflow by hand. This is what must hold all the same: **an
# order is shipped and paid exactly once, or it is not shipped and we keep nothing.**
#
# **Afterwards you can**
# - say what an idempotency key is, and what it protects you from;
# - undo a charge although nobody knows whether it went through;
# - say why a late charge does no harm;
# - find an order whose workflow is gone, and make it right.
#
# It takes 15 to 20 minutes.

# %%
from orderkit.lab import Lab, source
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
predictions = Predictions(lab.home, "05")
lab

# %% [markdown]
# ## Round 1: the lost answer
#
# You pay by card in a shop. The terminal says *connection lost*. Did the money go, or not? You cannot know. Our worker
# has the same problem with every call to the payment provider.
#
# `error_after` is that fault: the provider takes the money, **then** the answer is lost. To the worker it looks like
# any other error. So Temporal tries again.
#
# **Predict.** How often does the customer pay?
#
# a) never · b) once · c) twice

# %%
predictions.ask(1)

# %%
await lab.orders.start("cup", review="none", faults="charge=error_after,ok")
await lab.orders.wait("cup")

# %%
await lab.orders.attempts("cup")

# %% [markdown]
# Two attempts of `charge`, and each one really called the provider. Only the payment provider and the carrier write the
# ledger:

# %%
await lab.orders.ledger("cup")

# %% [markdown] tags=["explain"]
# **b.** Each charge carries an **idempotency key**, a name for the intention "pay for this order". Both attempts sent
# the same key. The provider knew it when it saw it again, and answered: done already.

# %% [markdown]
# This is the key:

# %% tags=["nbval-ignore-output"] why="a key holds the order's id, which may end in a number"
ledger = await lab.orders.ledger("cup", full=True)
ledger[["who", "kind", "key", "amount"]]

# %% [markdown]
# The key must be the same in each attempt. So it is made when the order is made, before attempt 1. If the activity drew
# a key at random, each attempt would have a new one, and the customer would pay twice.
#
# The answer can also get lost with the whole worker. With `crash_after` the provider takes the money, and then the
# worker process dies. (`hang_after` is the third of this kind: the provider takes the money and does not answer.)

# %%
await lab.orders.start("plate", review="none", faults="charge=crash_after,ok", deadline=60)
await lab.orders.wait("plate")
attempts = await lab.orders.attempts("plate")
attempts[attempts["step"] == "charge"]

# %%
await lab.orders.ledger("plate")

# %% [markdown]
# The first charge took the money, and nobody was left to say so. The second one, by a new worker, sent the same key.
#
# ## Round 2: no answer at all
#
# Now all three attempts lose their answer. After the third, policy `spec` gives up. All that the workflow has heard is:
# error, error, error.
#
# **Predict.** The order fails. What does the ledger say?
#
# a) nothing, the charge failed · b) charged, and the money is gone · c) charged, and refunded

# %%
predictions.ask(2)

# %%
await lab.orders.start("bowl", review="none", faults="charge=error_after,error_after,error_after")
await lab.orders.wait("bowl")

# %%
await lab.orders.ledger("bowl")

# %%
await lab.orders.attempts("bowl")

# %% [markdown] tags=["explain"]
# **c.** The order refunds a charge although it never heard that the charge went through.

# %% [markdown]
# Find the lines with `REFUND` and `CHARGE` in the workflow. It notes the refund **before** it tries the charge. The
# other way round, a charge with a lost answer would never be undone.

# %% tags=["nbval-ignore-output"] why="shows the code as it is installed"
from orderkit.workflows.order import OrderWorkflow

source(OrderWorkflow._go_forward)

# %% [markdown]
# ## Round 3: the late charge
#
# The provider is slow this time: it will take the money 2 seconds from now. Meanwhile the customer cancels. When we
# refund, **there is nothing to refund yet**. The charge reaches the provider after that.
#
# **Predict.** How does the ledger look in the end?
#
# a) no charge at all · b) a charge that nobody refunds · c) a refund, then a charge

# %%
predictions.ask(3)

# %%
await lab.orders.start("jug", review="none", faults="charge=slow(2000)")
await lab.orders.wait("jug", until="approved")
await lab.orders.cancel("jug", reason="too slow", via="update")

# %% [markdown]
# The order is cancelled, and its charge is still on the way. We wait until it reaches the provider:

# %%
from orderkit.lessons.waiting import until_answered

await until_answered(lab, "jug", "charge")
await lab.orders.ledger("jug")

# %% [markdown] tags=["explain"]
# **a.** We did not say "refund". We said **void**: what went through under this key comes back, and what comes later is
# refused. One message covers both cases, and we need not know which one it is.

# %% [markdown]
# The attempts tell the same story. `charge` started before `stop`, and the picture shows that it ended last of all:

# %%
await lab.orders.attempts("jug")

# %%
await lab.charts.timeline("jug")

# %% [markdown]
# Cancelling a task does not call back what the task has already sent. Only the other side can refuse it. The carrier
# can, too: for it the pair is *dispatch* and *recall*, by key.
#
# ## Round 4: the workflow is gone
#
# Compensation is code in the workflow. What if somebody presses *Terminate* in Temporal's UI? Then none of its code
# runs any more, and neither does the refund.
#
# The next cell takes an order that is paid and whose packing hangs, terminates its workflow, and asks the auditor. It
# may wait up to 9 seconds before that, so that you see the mess before it is cleaned up.
#
# **Predict.** The auditor compares Temporal's history, our tables and the ledger. What does it find?
#
# a) nothing · b) the money was kept, and nothing was sent · c) the order was paid twice

# %%
predictions.ask(4)

# %%
from orderkit.lessons.reconcile_passes import between_passes

temporal = await lab.connect_temporal()
await between_passes()
await lab.orders.start("pan", review="none", faults="prepare=hang,hang,hang", deadline=3600)
pan = await lab.orders.wait("pan", until="charged")
await temporal.get_workflow_handle(pan.workflow_id).terminate(reason="by hand")
await lab.audit("pan")

# %% [markdown] tags=["explain"]
# **b.** The workflow is *terminated*, so its own code will never finish this order. That is what `stranded` means.

# %% [markdown]
# A second workflow, **reconcile**, cleans up. A schedule runs it every full minute. We run it now. (If you have read
# for long, the schedule came first. The result is the same.)

# %%
from orderkit.worker.reconcile import reconcile_now

await reconcile_now(temporal)
pan = await lab.orders.status("pan")
pan.state, pan.reason

# %%
await lab.orders.ledger("pan")

# %% [markdown]
# It recalled the package and gave the money back. (There was no package yet, so the carrier notes a `void`.) It used
# the same activities as the workflow's own compensation. They are safe to repeat, so it does not matter who calls them,
# or how often. The code is in `orderkit/workflows/reconcile.py`.
#
# We ask the auditor again:

# %%
await lab.audit("pan")

# %% [markdown]
# ## Round 5: the books
#
# **Predict.** You have seen five orders: *cup*, *plate*, *bowl*, *jug* and *pan*. In how many of them does the ledger
# have a charge?
#
# a) 2 · b) 4 · c) 5

# %%
predictions.ask(5)

# %%
import pandas as pd

ledger = await lab.orders.ledger("cup", "plate", "bowl", "jug", "pan")
pd.crosstab(ledger["order"], ledger["kind"])

# %% [markdown] tags=["explain"]
# **b.** All but *jug*, whose charge was refused. *Cup* and *plate* were dispatched: one charge each, no refund. *Bowl*
# and *pan* were not: each charge has its refund.

# %% [markdown]
# You need not check that by eye. The auditor does it for every order:

# %%
await lab.audit()

# %% [markdown]
# ## Exercise
#
# Make an order called `vase` that was **paid** and is then **cancelled** by you. The ledger must show one charge and
# one refund. Then run the check. If something is missing you get a hint. Run it again for a clearer one.

# %% tags=["exercise"]
# <solution>
await lab.orders.start("vase", review="none", faults="prepare=hang,hang")
await lab.orders.wait("vase", until="charged")
await lab.orders.cancel("vase")
(await lab.orders.wait("vase")).state
# </solution>

# %%
from orderkit.lessons.lesson_05 import paid_then_cancelled

await paid_then_cancelled(lab)

# %%
predictions.score()

# %% [markdown]
# ## Recap
#
# - A lost answer looks like an error. **Try again with the same idempotency key**, and nobody pays twice.
# - **Note how to undo a step before you take it.** What you never heard of may have happened.
# - **Void the key** instead of asking whether there is something to refund. Late charges are then refused.
# - A terminated workflow cannot clean up. **Reconcile** finds from outside what it left.
# - The **ledger** of the other side is the truth. The auditor compares our records with it.
#
# The whole list of fences around the money, with the test of each, is in `docs/money.md`. The provider's side is
# `sql/queries/world.sql`: each call is one SQL statement.
#
# **Next:** [06_kill_everything](06_kill_everything.ipynb): worker, database, Temporal and API die in the middle of
# orders.
