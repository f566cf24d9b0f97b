# %% [markdown]
# # 07 · The bug museum
#
# Here are seven order workflows as people really write them. Each one works when you try it, and each has one bug. They
# run for real: on Temporal, in its sandbox, on PostgreSQL.
#
# **Afterwards you can**
# - find out what went wrong from a ledger, our events and Temporal's history, before you search the code;
# - recognise seven bugs in a review, and say how each is mended;
# - make a bug show itself with the right fault.
#
# It takes 20 minutes. Lessons 02 to 05 explain what you need: signals, retries, the deadline, the money.

# %%
from IPython.display import display

from orderkit.lab import Lab, source
from orderkit.lessons.museum.tour import Museum
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
predictions = Predictions(lab.home, "07")
museum = Museum(lab)
museum

# %% [markdown]
# These are the exhibits. Each has a sentence by somebody who had to live with it.
#
# `await museum.visit("…")` runs a new order through one of them, with faults and messages that make its bug show. Then
# the **auditor** compares Temporal's history, our tables, and the ledgers of payment provider and carrier.
#
# For each exhibit: read what the code should do, then read the code. **Predict** what the auditor will find. Run, look
# at the evidence, and name the line. Stuck? `museum.hint("polite-cancel")` has three hints for each exhibit.
#
# ## Round 1: money
#
# ### The polite cancel
#
# The customer cancels while the package is being packed.
#
# **Predict.** What will the auditor find?
#
# a) nothing: the order ends as cancelled · b) the refund is missing · c) the carrier has the package all the same

# %%
from orderkit.lessons.museum import polite_cancel

source(polite_cancel)

# %%
predictions.ask("polite-cancel")

# %%
display(await museum.visit("polite-cancel"))
await lab.orders.ledger("polite-cancel")

# %% [markdown] tags=["explain"]
# **b.** `work.cancel()` stops what is still to come. It does not undo what has happened, and the customer had paid.
#
# The bug is a line that is missing. You find such a line when you ask at each step: *what if the workflow ends here?*
#
# Our `OrderWorkflow` notes the refund **before** it schedules the charge. However the order ends, `_compensate` undoes
# what is noted, the last step first.

# %% [markdown]
# ### Free tea
#
# The customer's card is declined.
#
# **Predict.** How does the order end?
#
# a) rejected · b) failed · c) shipped

# %%
from orderkit.lessons.museum import free_tea

source(free_tea)

# %%
predictions.ask("free-tea")

# %%
display(await museum.visit("free-tea"))
await lab.orders.attempts("free-tea")

# %% [markdown] tags=["explain"]
# **c.** The order is shipped, the workflow is completed, and Temporal's UI shows it in green. Nobody notices until
# somebody compares the books.
#
# Two lines together are the bug. `except Exception` was written for a provider that restarts; it catches a declined
# card, too. And `note_state` says *charged* because the program has come to that line, not because somebody was
# charged.
#
# The retry policy already handles a provider that restarts. An error that is left after the retries is an answer, and
# must stop the order. `orderkit/workflows/failures.py` decides what each failure means for our order.

# %% [markdown]
# ## Round 2: addresses
#
# ### The old label
#
# The customer moves while the order waits for a person's approval. The signal arrives, and the workflow takes it.
#
# **Predict.** Where does the package go? Follow the two variables, `address` and `self._address`.
#
# a) to the new address · b) to the old address · c) nowhere: the order fails

# %%
from orderkit.lessons.museum import old_label

source(old_label)

# %%
predictions.ask("old-label")

# %%
display(await museum.visit("old-label"))
events = await lab.orders.events("old-label")
events[events["step"] == ""][["type"]]

# %% [markdown] tags=["explain"]
# **b.** `address_changed` stands well before `carrier_dispatched`, so the database knew. But `address` was copied
# before the review. Months may pass between two lines of a workflow.
#
# So ask of each variable: *how old may it be?* Our dispatch reads the address when it prints the label. If the address
# changes before the carrier has the package, the database refuses the dispatch, and a new label is printed: see
# `carrier_dispatched` in `orderkit/business.py`.

# %% [markdown]
# ### The deaf order
#
# The same story with other code: the customer moves while the order waits for approval.
#
# **Predict.** What becomes of the order?
#
# a) it ships to the new address · b) it ships to the old one · c) neither

# %%
from orderkit.lessons.museum import deaf_order

source(deaf_order)

# %%
predictions.ask("deaf-order")

# %%
await museum.visit("deaf-order")

# %% [markdown]
# No attempt of any step has failed. The workflow's own code fails, and only Temporal knows of that. The auditor asks
# Temporal, and so does a wait that gives up:

# %%
from orderkit.errors import WaitExpired

try:
    await lab.orders.wait("deaf-order", within_seconds=1)
except WaitExpired as why:
    print(why)

# %% [markdown] tags=["explain"]
# **c.** The order is past its deadline, and still in review. `change` has no type, so Temporal decodes it as what the
# JSON says: a `dict`. A dict has no attribute `new_address`.
#
# An unknown error in workflow code does not fail the workflow, as in lesson 01's sandbox. Temporal tries the same
# *workflow task* again and again. Once a worker runs mended code, the order goes on. Such an order is easy to overlook.
# Watch for `WORKFLOW_TASK_FAILED`: orderkit's API does, and counts these workflows in the metric
# `orderkit_failing_workflows`.
#
# Did you see the `# type: ignore` beside the signal? The type checker had found the bug.

# %% [markdown]
# ## Round 3: time
#
# ### The hard deadline
#
# The carrier does not answer, and the order has 4 seconds. This code has a refund, and it even catches a cancel.
#
# **Predict.** How many of the lines below `except` run when the time is up?
#
# a) none · b) those before the refund · c) all of them

# %%
from orderkit.lessons.museum import hard_deadline

source(hard_deadline)

# %%
predictions.ask("hard-deadline")

# %%
display(await museum.visit("hard-deadline"))
history = await lab.orders.history("hard-deadline")
history[history["type"].str.startswith(("ACTIVITY_TASK_SCHEDULED", "WORKFLOW_EXECUTION"))]

# %% [markdown] tags=["explain"]
# **a.** The server ends a workflow that reaches its execution timeout. It raises no exception there, and no `finally`
# runs. The order is *stranded*: its row is open, and no workflow is left to close it.
#
# A deadline that has something to undo must be a timer **inside** the workflow, as in `OrderWorkflow._next_stop`.
# Lesson 04 measures it.

# %% [markdown]
# ### Early news
#
# The carrier refuses the package.
#
# **Predict.** What does the customer's page say, and what is true?
#
# a) shipped, and it is · b) shipped, and it is not · c) failed, and it is

# %%
from orderkit.lessons.museum import early_news

source(early_news)

# %%
predictions.ask("early-news")

# %%
display(await museum.visit("early-news"))
await lab.orders.timeline("early-news")

# %% [markdown] tags=["explain"]
# **b.** The page says *shipped*, the carrier has nothing, and the workflow has failed.
#
# Read the timeline from its end: the refusal is the last line, and `order_shipped` stands above it. A state is a
# promise to everybody who reads it. So do it first, then note it, in the activity that did it.

# %% [markdown]
# ## Round 4: the same orders, mended
#
# **Predict.** The same six orders go through our `OrderWorkflow`, with the same faults and messages. How many ship?
#
# a) one · b) three · c) all six

# %%
predictions.ask("mended")

# %%
await museum.compare()

# %% [markdown] tags=["explain"]
# **b.** Three ship, and three end in another way. The auditor finds nothing. That is what "mended" means: not that
# nothing goes wrong, but that the books agree whatever happens.
#
# *Early news* ships, although the carrier refuses its package: the first shipping run fails, and `OrderWorkflow` starts
# a second one, as in lesson 01's exercise. The carrier takes the package then.

# %% [markdown]
# ## Exercise
#
# One exhibit is left, the hasty clerk: *one customer in a hundred has paid twice, and nobody can reproduce it*.

# %%
from orderkit.lessons.museum import hasty_clerk

source(hasty_clerk)

# %%
await museum.visit("hasty-clerk", faults="calm")

# %% [markdown]
# It works when you try it, as they all do. **Find the faults that convict the clerk.** Visit it with
# `faults="charge=…"`, as often as you like, until the auditor finds the double charge. You know these kinds: `error`,
# `error_after`, `hang`, `hang_after`, `slow(250)`, `decline`.
#
# The check looks at your last visit. Then it gives the same faults to `OrderWorkflow`, which must be acquitted.

# %% tags=["exercise"]
# <solution>
await museum.visit("hasty-clerk", faults="charge=error_after")
# </solution>

# %%
from orderkit.lessons.museum.check import clerk_is_convicted

await clerk_is_convicted(museum)

# %%
predictions.score()

# %% [markdown]
# ## Before you go
#
# Two of today's orders are still open: one workflow is stuck, and the server has ended another. `museum.tidy`
# terminates the one that is stuck. Then it asks *reconcile*, which runs every full minute anyway, to refund and close
# both orders.
#
# Below it are the seven answers, for later.

# %%
display(await museum.tidy())
museum.answers()

# %% [markdown]
# ## Recap
#
# All seven pass a test in which nothing goes wrong. A fault at the right moment finds them, and an auditor who believes
# nobody. In a review, ask:
#
# - What if the workflow ends at this line: what has happened by then, and who undoes it?
# - What else does this `except` catch?
# - How old may this variable be?
# - Has each signal one argument, with a type?
# - Who runs the compensation when the time is up?
# - Does this state say what has happened, or what we hope?
# - Does attempt 2 send exactly what attempt 1 has sent?
#
# We terminated the deaf order. You can also mend its code while it waits, and it goes on.
#
# **Next:** [08_change_a_running_workflow](08_change_a_running_workflow.ipynb): a mended workflow reaches orders that
# are running already.
