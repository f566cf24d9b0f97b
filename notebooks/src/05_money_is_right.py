# %% [markdown]
# # 05 · The money is right
#
# Answers get lost. Charges arrive late. Somebody ends a workflow by hand. And still: **an order is shipped and paid
# exactly once, or it is not shipped and we keep nothing.**
#
# **Afterwards you can**
# - say what an idempotency key is, and what it saves you from;
# - undo a charge although nobody knows whether it went through;
# - say why a late charge does no harm;
# - find an order whose workflow is gone, and make it right.
#
# It takes about 15 minutes.

# %%
from orderkit.lab import Lab, source

lab = await Lab.start()
lab

# %% [markdown]
# ## Round 1: the lost answer
#
# You pay by card in a shop. The terminal says *connection lost*. Did the money go, or not? You cannot know. Our worker
# has the same problem each time that it calls the payment provider.
#
# `error_after` is that fault: the provider takes the money, **then** the answer is lost. To the worker it looks like
# any other error. So Temporal tries again.
#
# **Predict.** How often does the customer pay?
#
# a) never · b) once · c) twice

# %%
await lab.orders.start("cup", review="none", faults="charge=error_after,ok")
await lab.orders.wait("cup")

# %%
await lab.orders.attempts("cup")

# %% [markdown]
# Two attempts of `charge`, each one really called the provider. Now the ledger. It is not ours: only the payment
# provider and the carrier write there.

# %%
await lab.orders.ledger("cup")

# %% [markdown]
# **Explain.** b. Each charge carries an **idempotency key**, a name for the intention "pay for this order". Both
# attempts sent the same key. The provider saw the second one, knew the key, and answered: done already.
#
# Here is the key. (It belongs to the order, so it may end in a number on your machine; the test of this notebook does
# not compare it.)

# %% tags=["nbval-ignore-output"]
ledger = await lab.orders.ledger("cup", full=True)
ledger[["who", "kind", "key"]]

# %% [markdown]
# The key must be the same in each attempt. So it is made when the order is made, before the first attempt. A key that
# the activity draws at random would be a new one each time, and the customer would pay twice.
#
# ## Round 2: no answer at all
#
# Now all three attempts lose their answer. After the third, policy `spec` gives up. The workflow has only ever heard:
# error, error, error.
#
# **Predict.** The order fails. What does the ledger say?
#
# a) nothing, the charge failed · b) charged, and the money is gone · c) charged, and refunded

# %%
await lab.orders.start("bowl", review="none", faults="charge=error_after,error_after,error_after")
await lab.orders.wait("bowl")

# %%
await lab.orders.ledger("bowl")

# %%
await lab.orders.attempts("bowl")

# %% [markdown]
# **Explain.** c. The order refunds a charge of which it never heard that it went through.
#
# Look at the two lines about `REFUND` and `CHARGE` in the way forward of the workflow. The refund is noted **before**
# the charge is tried. If it were the other way round, a charge with a lost answer would never be undone. (The code is
# shown as it is in your installation, so the test of this notebook does not compare it.)

# %% tags=["nbval-ignore-output"]
from orderkit.workflows.order import OrderWorkflow

source(OrderWorkflow._go_forward)

# %% [markdown]
# ## Round 3: the late charge
#
# This one is nasty. The provider is slow: it will take the money 2 seconds from now. Meanwhile the customer cancels.
# When we refund, **there is nothing to refund yet**. The charge lands after that.
#
# **Predict.** How does the ledger look in the end?
#
# a) a charge that nobody refunds · b) a refund, then a charge · c) no charge at all

# %%
await lab.orders.start("jug", review="none", faults="charge=slow(2000)")
await lab.orders.wait("jug", until="approved")
await lab.orders.cancel("jug", reason="too slow", via="update")

# %% [markdown]
# Cancelled. The charge is still on its way. We wait until it knocks at the provider's door:

# %%
from orderkit.lessons.waiting import until_answered

await until_answered(lab, "jug", "charge")
await lab.orders.ledger("jug")

# %% [markdown]
# **Explain.** c. We did not say "refund". We said **void**: whatever went through under this key comes back, and
# whatever comes later is refused. One sentence settles both cases, and we need not know which one it is.
#
# The attempts tell the same story. `charge` started before `stop`, and the picture shows that it ended last of all:

# %%
await lab.orders.attempts("jug")

# %%
await lab.charts.timeline("jug")

# %% [markdown]
# Cancelling a task does not stop what it has already sent into the world. Only the other side can refuse it.
#
# The carrier has the same pair: *dispatch* and *recall*, by key.
#
# ## Round 4: the workflow is gone
#
# Compensation is code in the workflow. What if somebody presses *Terminate* in Temporal's UI? Then no code runs any
# more. Not even the refund.
#
# For this case there is a second workflow, **reconcile**. A schedule runs it at each full minute. You should see the
# mess first, so the next cell may wait up to 9 seconds, until reconcile is out of the way. Then it takes an order that
# is paid and whose packing hangs, terminates its workflow, and asks the auditor.
#
# **Predict.** The auditor compares Temporal's history, our tables and the ledger. What does it find?
#
# a) nothing · b) the money was kept, and nothing was sent · c) the order was paid twice

# %%
from orderkit.lessons.reconcile_passes import between_passes

temporal = await lab.connect_temporal()
await between_passes()
await lab.orders.start("pan", review="none", faults="prepare=hang,hang,hang", deadline=3600)
pan = await lab.orders.wait("pan", until="charged")
await temporal.get_workflow_handle(pan.workflow_id).terminate(reason="by hand")
await lab.audit("pan")

# %% [markdown]
# **Explain.** b, and it says why: the workflow is *terminated*, so its own code will never finish this order. That is
# what `stranded` means.
#
# Now let reconcile do its work. (If you have read for long, its schedule was faster than you. The result is the same.)

# %%
from orderkit.worker.reconcile import reconcile_now

await reconcile_now(temporal)
pan = await lab.orders.status("pan")
pan.state, pan.reason

# %%
await lab.orders.ledger("pan")

# %% [markdown]
# It recalled the package (there was none yet, so the carrier notes a `void`), and gave the money back. It used the same
# activities as the workflow's own compensation. They are safe to repeat, so it does not matter who calls them, or how
# often. You find it in `orderkit/workflows/reconcile.py`.
#
# We ask the auditor again:

# %%
await lab.audit("pan")

# %% [markdown]
# ## Round 5: the books
#
# Four orders, four disasters. We count what the ledger has of each.
#
# **Predict.** In which rows is there a `dispatch`? How many charges, and how many refunds, stand beside it?

# %%
import pandas as pd

ledger = await lab.orders.ledger("cup", "bowl", "jug", "pan")
pd.crosstab(ledger["order"], ledger["kind"])

# %% [markdown]
# **Explain.** Only *cup* was dispatched: one charge, no refund. In all other rows, each charge has its refund.
#
# You need not check that by eye. The auditor does it for every order:

# %%
await lab.audit()

# %% [markdown]
# ## Exercise
#
# Make an order called `vase` that was **paid** and is then **cancelled** by you. The ledger must show one charge and
# one refund. Then run the check. If it is not content, it has a hint, and a plainer one the next time.

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

# %% [markdown]
# ## Recap
#
# - A lost answer looks like an error. **Try again with the same idempotency key**, and nobody pays twice.
# - **Note the undoing before the doing.** What you never heard of may have happened.
# - **Void the key** instead of asking whether there is something to refund. Late charges are then refused.
# - A terminated workflow cannot clean up. **Reconcile** finds what it left, from outside.
# - The **ledger** of the other side is the truth. The auditor compares ours with it.
#
# The whole list of fences, with the test that guards each of them, is in `docs/money.md`. The provider's side is
# `sql/queries/world.sql`: each call is one SQL statement.
#
# **Next:** `06_kill_everything`: worker, database, Temporal and API die in the middle of orders.
