# %% [markdown]
# # 02 · Talk to a running order
#
# People change their minds while an order runs: they cancel it, move house, say yes or no. You send all of these
# messages, once in time and once too late.
#
# **Afterwards you can**
# - approve an order as a person, and say what happens when nobody does;
# - cancel an order, and say what becomes of the money;
# - choose between a *signal* and an *update*;
# - say when a message comes too late, and how its sender learns that.
#
# It takes 20 minutes.

# %%
from orderkit.errors import DependencyUnavailable, MessageRefused, OrderClosed
from orderkit.lab import Lab, source
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
predictions = Predictions(lab.home, "02")

# %% [markdown]
# ## Round 1: a person says yes
#
# With `review="human"` only a person can approve the order. You may take your time: this order's deadline is ten
# minutes.

# %%
await lab.orders.start("rug", review="human", deadline=600)
print(await lab.orders.wait("rug", until="in_review"))

# %% [markdown]
# Now we stop the worker, so that no program runs any of our workflow's code. Then Grace approves.
#
# **Predict.** What becomes of her approval?
#
# a) an error: no worker runs · b) it is lost · c) it waits until a worker runs

# %%
predictions.ask(1)

# %%
await lab.workers.stop()
await lab.orders.approve("rug", by="grace", note="looks fine")

# %%
await lab.workers.start()
await lab.orders.wait("rug")

# %%
history = await lab.orders.history("rug")
history[history["type"] == "WORKFLOW_EXECUTION_SIGNALED"]

# %% [markdown] tags=["explain"]
# **c.** Her approval was a **signal**. Temporal writes a signal into the workflow's history, whether a worker runs or
# not, and then the signal counts as *sent*. The new worker read the history, found the signal, and went on.

# %% [markdown]
# **Predict.** The next order waits for a person as well, but its deadline is 4 seconds, and nobody answers. How does it
# end?
#
# a) shipped: silence means yes · b) cancelled · c) failed

# %%
predictions.ask("1b")

# %%
await lab.orders.start("vase", review="human", deadline=4)
await lab.orders.wait("vase")

# %% [markdown] tags=["explain"]
# **b.** A person did not answer, and that is no error. The workflow waits for a message and for a timer at the same
# time. With `review="auto"`, as in lesson 00, the timer means yes.

# %% [markdown]
# ## Round 2: changed my mind
#
# This order is charged, and then its packing hangs for a while (`hang` in `faults`). Meanwhile the customer cancels.
#
# **Predict.** The customer has paid already. What will the payment provider have in its ledger?
#
# a) nothing · b) a charge · c) a charge and a refund

# %%
predictions.ask(2)

# %%
await lab.orders.start("sink", review="none", faults="prepare=hang,hang,ok")
await lab.orders.wait("sink", until="prepare")
await lab.orders.cancel("sink", reason="wrong colour", by="ada")
print(await lab.orders.wait("sink"))

# %%
await lab.orders.ledger("sink")

# %%
events = await lab.orders.events("sink")
events[events["step"] == ""][["type"]]

# %% [markdown] tags=["explain"]
# **c.** The order did not just stop: its steps were undone, the last one first. This is called *compensation*, and it
# is no error: the workflow ends as it should, green in Temporal's UI.
#
# A cancel is a request, and the database decides: `order_stopped` is one conditional statement, so no order is both
# stopped and dispatched. The carrier's `void` means: it had no package, and will take none for this order any more.
# Lesson 05 looks at the money more closely.

# %% [markdown]
# ## Round 3: an answer, please
#
# The sender of a signal hears nothing more. An **update** is answered: `via="update"`. Let us stop the worker again.
#
# **Predict.** Ada sends her new address as an update while no worker runs. What does she hear?
#
# a) nothing for a while, then that no worker has answered · b) at once: done · c) at once: refused

# %%
predictions.ask(3)

# %%
await lab.orders.start("chair", review="human", deadline=600, faults="charge=hang,ok")
await lab.orders.wait("chair", until="in_review")
home = "2 Side Street, Shelbyville, IL, 62565"
await lab.workers.stop()
try:  # takes 10 seconds
    await lab.orders.change_address("chair", home, by="ada", via="update")
except DependencyUnavailable as nobody:
    print(nobody)

# %% [markdown] tags=["explain"]
# **a.** The workflow's code answers an update, so a worker must run. Ada does not know now whether her message will
# still arrive. She can send it again: the same address a second time changes nothing.

# %%
await lab.workers.start()
print(await lab.orders.change_address("chair", home, by="ada", via="update"))
print(await lab.orders.change_address("chair", home, by="ada", via="signal"))
events = await lab.orders.events("chair")
print("address_changed:", (events["type"] == "address_changed").sum())

# %% [markdown]
# However many of these messages arrived, the address changed once. Networks repeat messages, so each of ours is safe to
# repeat.
#
# And a decision? Grace approves, then Linus does, and then Linus changes his mind:

# %%
print(await lab.orders.approve("chair", by="grace", via="update"))
print(await lab.orders.approve("chair", by="linus", via="update"))
try:
    await lab.orders.reject("chair", by="linus", via="update")
except MessageRefused as refused:
    print("refused:", refused)
await lab.orders.wait("chair")

# %% [markdown]
# A second approval is answered like the first one, and changes nothing: the order is approved, by Grace. A rejection
# after that contradicts it, and is refused.
#
# The code for both kinds of messages is in `orderkit/workflows/messages.py`. Nobody hears the refusal of a signal, so
# the order writes it down:

# %% tags=["nbval-ignore-output"] why="shows the code as it is installed"
from IPython.display import display

from orderkit.workflows.messages import OrderMessages
from orderkit.workflows.order import OrderWorkflow

display(source(OrderMessages.receive), source(OrderWorkflow.cancel_update))

# %% [markdown]
# ## Round 4: too late
#
# The carrier has this package, so the order is past the point of no return. It still runs, because its last step hangs
# for a few seconds. The customer cancels, once by signal and once by update.
#
# **Predict.** Who tells the customer that it is too late?
#
# a) only the signal · b) only the update · c) both

# %%
predictions.ask(4)

# %%
order = await lab.orders.start("mirror", review="none", faults="ship=" + "hang," * 12 + "ok")
await lab.orders.wait("mirror", until="ship")
print("signal →", await lab.orders.cancel("mirror"))
try:
    await lab.orders.cancel("mirror", via="update")
except MessageRefused as refused:
    print("update →", refused)

# %% [markdown] tags=["explain"]
# **b.** The signal was *sent*, and its sender will not hear more.

# %% [markdown]
# The order remembers what it has refused. You can ask it with a **query**, which reads the workflow's memory and
# changes nothing:

# %%
temporal = await lab.connect_temporal()
status = await temporal.get_workflow_handle(order.workflow_id).query(OrderWorkflow.status)
status.refused

# %% [markdown]
# When the order has ended, no message reaches it any more, and the sender of a signal hears that, too:

# %%
print((await lab.orders.wait("mirror")).state)
try:
    await lab.orders.cancel("mirror")
except OrderClosed as closed:
    print("signal →", closed)

# %% [markdown]
# So, signal or update?
#
# | | signal | update |
# | --- | --- | --- |
# | the sender hears | it is written down | done, or refused and why |
# | needs a worker at that moment | no | yes: no worker, no answer |
# | a refused one | is in the history | leaves no trace |
# | good for | other programs, and what must not get lost | a person who waits for the answer |

# %% [markdown]
# ## Round 5: with the mouse
#
# The order console sends the same messages. It shows all orders of the lab, live. Click on *stool* in its list, send it
# to another street, and approve it.
#
# **Predict.** What will you find in the history of *stool*?
#
# a) one message for each click on a button · b) messages of a third kind · c) nothing of it

# %%
predictions.ask(5)

# %% tags=["nbval-ignore-output"] why="shows every order of the lab"
await lab.orders.start("stool", review="human", deadline=300)
console = await lab.console()
console

# %% [markdown]
# Does your front end show no widgets? Here is the same as a table. Below it are the messages to *stool*:

# %% tags=["nbval-ignore-output"] why="shows every order of the lab, and what was clicked"
display(console.table().head(6))
history = await lab.orders.history("stool")
history[history["type"].isin(["WORKFLOW_EXECUTION_UPDATE_ACCEPTED", "WORKFLOW_EXECUTION_SIGNALED"])]

# %% [markdown] tags=["explain"]
# **a.** A button sends a signal or an update, and nothing else.

# %% [markdown]
# We close the console, so that it listens no more. (Run its cell again to have it back.) Then the auditor looks at the
# money, and at the labels on the packages:

# %%
console.close()
await lab.audit("rug", "vase", "sink", "chair", "mirror")

# %% [markdown]
# ## Exercise
#
# Start an order called `gift` that waits for a person. Before anybody says yes, send it to another address, in such a
# way that you **hear** whether it worked. Then approve it, and wait for its end.

# %% tags=["exercise"]
# <solution>
await lab.orders.start("gift", review="human", deadline=600)
await lab.orders.wait("gift", until="in_review")
await lab.orders.change_address("gift", home, by="ada", via="update")
await lab.orders.approve("gift", by="grace")
await lab.orders.wait("gift")
# </solution>

# %%
from orderkit.lessons import lesson_02

await lesson_02.moved_before_approval(lab)

# %%
predictions.score()

# %% [markdown]
# ## Recap
#
# - Temporal writes a **signal** into the history at once, with or without a worker. Its sender gets no answer.
# - The workflow answers an **update**: done, or refused and why. A **query** only reads.
# - An order that is cancelled in time is undone, and the money comes back. After the **point of no return** it is too
#   late.
# - Messages are repeated in real life. The same one twice must act once.
#
# Want to know more? Send `reject` instead of `approve`, and look at `(await lab.orders.wait(…)).reason`.
#
# **Next:** [03_retries_and_timeouts](03_retries_and_timeouts.ipynb): how often, how long, and when to give up.
