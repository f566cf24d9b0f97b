# %% [markdown]
# # 02 · Talk to a running order
#
# People change their minds while an order runs: cancel it, move house, say yes or no. You send all of these messages,
# once in time and once too late.
#
# **Afterwards you can**
# - approve an order as a person, and say what happens when nobody does;
# - cancel an order, and say what becomes of the money;
# - choose between a *signal* and an *update*;
# - say when a message comes too late, and how its sender hears of it.
#
# It takes 15 to 20 minutes.

# %%
from orderkit.lab import Lab, source

lab = await Lab.start()

# %% [markdown]
# ## Round 1: a person says yes
#
# `review="human"`: only a person approves. You may take your time, so this order's deadline is ten minutes.

# %%
await lab.orders.start("rug", review="human", deadline=600)
print(await lab.orders.wait("rug", until="in_review"))

# %% [markdown]
# It waits. Now we make it hard: we stop the worker, so that no program runs any of our workflow's code. Then Grace
# approves.
#
# **Predict.** What becomes of her approval?
#
# a) an error: nobody is there · b) it is lost · c) it waits, too

# %%
await lab.workers.stop()
await lab.orders.approve("rug", by="grace", note="looks fine")

# %%
await lab.workers.start()
await lab.orders.wait("rug")

# %%
history = await lab.orders.history("rug")
history[history["type"] == "WORKFLOW_EXECUTION_SIGNALED"]

# %% [markdown]
# **Explain.** c. A **signal** is written into the history of the workflow, and then it counts as *sent*. Temporal takes
# it whether a worker is there or not. The new worker read the history, found the signal, and went on.
#
# **Predict.** The next order waits for a person as well, but its deadline is 4 seconds, and nobody says a word. How
# does it end?
#
# a) shipped: silence means yes · b) cancelled · c) failed

# %%
await lab.orders.start("vase", review="human", deadline=4)
await lab.orders.wait("vase")

# %% [markdown]
# **Explain.** b. A person did not answer, and that is nobody's error. Inside the workflow, the wait for a message races
# against a timer. With `review="auto"`, as in lesson 00, it is the other way round: silence means yes.

# %% [markdown]
# ## Round 2: changed my mind
#
# This order is charged, and then its packing hangs for a while (`hang` in `faults`). In the middle of that, the
# customer cancels.
#
# **Predict.** The money is gone already. What will the payment provider have in its ledger?

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

# %% [markdown]
# **Explain.** A charge, and a refund. The order did not just stop: it was undone, backwards. That is called
# *compensation*, and it is not an error: this order ended as it should.
#
# A cancel asks. The database decides: `order_stopped` is one conditional statement, so an order can never be stopped
# and dispatched both. Lesson 05 looks at the money more closely.

# %% [markdown]
# ## Round 3: a new address
#
# A signal is sent and you hear nothing more. An **update** is answered: `via="update"`.

# %%
from orderkit.core.orders import Address

await lab.orders.start("chair", review="human", deadline=600)
await lab.orders.wait("chair", until="in_review")
home = Address(street="2 Side Street", city="Shelbyville", state="IL", zip="62565")
await lab.orders.change_address("chair", home, by="ada", via="update")

# %% [markdown]
# The order itself answered, after its row in the database had been changed.
#
# **Predict.** The customer is nervous and sends the same address twice more. How many changes will our events list?

# %%
await lab.orders.change_address("chair", home, by="ada", via="update")
await lab.orders.change_address("chair", home, by="ada", via="signal")
await lab.orders.approve("chair", by="grace", via="update")
await lab.orders.wait("chair")

# %%
events = await lab.orders.events("chair")
print("address_changed:", (events["type"] == "address_changed").sum())
history = await lab.orders.history("chair")
history[history["type"].isin(["WORKFLOW_EXECUTION_UPDATE_ACCEPTED", "WORKFLOW_EXECUTION_SIGNALED"])]

# %% [markdown]
# **Explain.** One. Every message arrived, as the history says; the same address again changes nothing. Networks repeat
# messages, so each of ours is safe to repeat.
#
# Both kinds go to the same desk, `orderkit/workflows/messages.py`. See how they differ: whom should a signal tell that
# it is refused? The order notes it. An update waits for an answer. (Code as it is installed; not compared by the test.)

# %% tags=["nbval-ignore-output"]
from IPython.display import display

from orderkit.workflows.messages import OrderMessages
from orderkit.workflows.order import OrderWorkflow

display(source(OrderMessages.receive), source(OrderWorkflow.cancel_update))

# %% [markdown]
# ## Round 4: too late
#
# The carrier has this package, and the last step hangs for a few seconds: the order is past the point of no return, but
# it still runs. The customer cancels, once by signal and once by update.
#
# **Predict.** Which of the two will say that it is too late?

# %%
from orderkit.errors import MessageRefused, OrderClosed

order = await lab.orders.start("mirror", review="none", faults="ship=" + "hang," * 12 + "ok")
await lab.orders.wait("mirror", until="ship")
print("signal →", await lab.orders.cancel("mirror"))
try:
    await lab.orders.cancel("mirror", via="update")
except MessageRefused as refused:
    print("update →", refused)

# %% [markdown]
# **Explain.** The update. The signal was *sent*, and that is all its sender will ever hear. The order keeps what it
# refused, for those who ask. The question is a **query**: it reads the workflow's memory, and changes nothing.

# %%
temporal = await lab.connect_temporal()
status = await temporal.get_workflow_handle(order.workflow_id).query(OrderWorkflow.status)
status.refused

# %% [markdown]
# And when the order has ended, no message reaches it, and both ways say so:

# %%
print((await lab.orders.wait("mirror")).state)
try:
    await lab.orders.cancel("mirror")
except OrderClosed as closed:
    print("signal →", closed)

# %% [markdown]
# **Explain.** So, signal or update?
#
# | | signal | update |
# | --- | --- | --- |
# | the sender hears | it is written down | done, or refused and why |
# | needs a worker at that moment | no | yes, it waits for the answer |
# | a refused one | is in the history | leaves no trace |
# | good for | other programs, and what must not get lost | a person who waits for the answer |

# %% [markdown]
# ## Round 5: with the mouse
#
# The order console sends the same messages. It shows every order of the lab, live, and so the test of this notebook
# does not compare it.
#
# **Predict.** Click on *stool* in the list, send it to another street, and approve it. Which messages will you find in
# its history?

# %% tags=["nbval-ignore-output"]
await lab.orders.start("stool", review="human", deadline=300)
console = await lab.console()
console

# %% [markdown]
# No widgets where you are? The same as a table (not compared either), and then what *stool* was told:

# %% tags=["nbval-ignore-output"]
display(console.table().head(6))
history = await lab.orders.history("stool")
history[history["type"].isin(["WORKFLOW_EXECUTION_UPDATE_ACCEPTED", "WORKFLOW_EXECUTION_SIGNALED"])]

# %% [markdown]
# **Explain.** Whatever you clicked: a button is a signal or an update, nothing else. We close the console, so that it
# listens no more (run its cell again to have it back), and let the auditor look at the money and at the labels on the
# packages:

# %%
console.close()
await lab.audit("rug", "vase", "sink", "chair", "mirror")

# %% [markdown]
# ## Exercise
#
# The order `gift` waits for a person. Before anybody says yes, send it to another address, in such a way that you
# **hear** that it worked. Then approve it, and wait for its end.

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

# %% [markdown]
# ## Recap
#
# - A **signal** is written into the history at once, worker or not. Its sender hears no answer.
# - An **update** is answered by the workflow: done, or refused and why. A **query** only reads.
# - A cancel in time is undone backwards: the money comes back. After the **point of no return** it is refused.
# - Messages are repeated in real life. The same one twice must act once.
#
# Want to know more? Send `reject` instead of `approve`, and look at `(await lab.orders.wait(…)).reason`.
#
# **Next:** `03_retries_and_timeouts`: how often, how long, and when to give up.
