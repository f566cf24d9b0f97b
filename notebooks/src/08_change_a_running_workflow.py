# %% [markdown]
# # 08 · Change a running workflow
#
# Yesterday's orders are still running, and today there is new code. You change a workflow under orders that are in the
# middle of it: first you see a change break on paper, then you send orders to a new build, take it back, and mend the
# deaf order of lesson 07 while it runs.
#
# **Afterwards you can**
# - say, before you deploy, which orders a change would break, and mend the change with a patch;
# - run two builds side by side: pin, ramp, promote, roll back;
# - move an order that stands still to code that works.
#
# It takes about 20 minutes. Lesson 06 shows what a replay is, lesson 07 the deaf order.

# %%
from IPython.display import display

from orderkit.lab import Lab, source
from orderkit.lessons.builds.shop import Builds
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
predictions = Predictions(lab.home, "08")
builds = await Builds.open(lab)

# %% [markdown]
# ## Round 1: replay
#
# A worker that has never heard of an order reads its history, and runs the workflow's code again with the answers that
# stand there. You can do that at any time, with any code, and without a worker.
#
# **Predict.** The order *mug* has shipped. We replay it with today's code. How often will the customer have paid?
#
# a) twice · b) once · c) the payment provider refuses the second charge

# %%
predictions.ask(1)

# %%
await lab.orders.start("mug", review="none")
await lab.orders.wait("mug")
display(await builds.replay("mug"))
await lab.orders.ledger("mug")

# %% [markdown] tags=["explain"]
# **b.** A replay runs no activity. It asks the code at each point *what would you do next?*, and compares the
# answer with the history. The result of `charge` is read from there.
#
# "yes" means: the code decided as it stands in the history, from the first event to the last one. In a terminal it is
# `orderkit replay mug`; with `--running` it replays all orders that run now, with `--save` it keeps their histories as
# files. `make test` replays such files of every earlier release.

# %% [markdown]
# ## Round 2: a change that breaks
#
# The museum's deaf order is our patient for the rest of this lesson. Its worker gets a name, the **build id** `deaf`:

# %%
from orderkit.lessons.museum import deaf_order

await builds.start("deaf")
await builds.promote("deaf")
source(deaf_order.DeafOrder.run)

# %% [markdown]
# Three orders: *kettle* waits for its approval. *pot* is approved, and ships. The customer of *teapot* has moved, and
# the signal that says so has no type: that order is deaf by now.

# %%
await builds.order("kettle", "pot", "teapot")
await builds.approve("pot")
await builds.wait("pot")
await lab.orders.change_address("teapot", "7 Harbour Road, Portland, ME, 04101")
await builds.approve("teapot")
await builds.orders("kettle", "pot", "teapot")

# %% [markdown]
# Its authors give the signal its type. And since the address may have changed meanwhile, after the approval they wait
# until the change is through, and validate the order again:

# %%
from orderkit.lessons.builds import hasty

source(hasty.DeafOrder.run)

# %% [markdown]
# **Predict.** Which of the three can the new code replay?
#
# a) none of them: the code is another one · b) *kettle* and *teapot* · c) only *pot*, which is finished

# %%
predictions.ask(2)

# %%
await builds.replay("kettle", "pot", "teapot", build="hasty")

# %% [markdown] tags=["explain"]
# **b.** *kettle* has not come to the new line yet, so nothing contradicts it. *teapot* neither: its approval lies
# in the history, but no worker could ever answer it.
#
# *pot* has come past it. At that point its history has the charge, and the new code wants to validate. Temporal cannot
# know what to make of that, and stops: this is a **non-determinism error**.
#
# *pot* is shipped, and nobody will replay it again. But think of an order that is being charged while you deploy: it
# would stand still, as the deaf order does. So record histories from every stage of an order, and replay them
# **before** you deploy. Then a test fails in CI, and no order fails at night.

# %% [markdown]
# ### The patch
#
# **Predict.** `workflow.patched` answers True or False. What does it say to *pot*, and what to *kettle* later?
#
# a) *pot*: False, *kettle*: True · b) both True · c) both False

# %%
from orderkit.lessons.builds import patched

source(patched.DeafOrder.run)

# %%
predictions.ask("2b")

# %%
await builds.replay("kettle", "pot", "teapot", build="patched")

# %% [markdown] tags=["explain"]
# **a.** To *pot* it says False: the history went past that point without leaving a mark, so the order goes on
# as it was. To *kettle* it says True when it gets there, and leaves the mark in its history. From then on every replay
# says True.
#
# A patch stays in the code as long as an order without the mark may run. Then it becomes `workflow.deprecate_patch`,
# and later it goes. So old code stays around for long. For orders that live a day at most, there is something better.

# %% [markdown]
# ## Round 3: two builds
#
# A worker may say which **build** it is, and Temporal decides for each new order which build gets it. Our orders are
# **pinned**: they stay with the build on which they began.
#
# The new worker runs beside the old one, on the same task queue, and gets nothing. Then its build is promoted, and a
# new order begins.
#
# **Predict.** *kettle* still waits for its approval. How often will each of the two be validated?
#
# a) *kettle* twice, *urn* twice · b) *kettle* once, *urn* once · c) *kettle* once, *urn* twice

# %%
predictions.ask(3)

# %%
await builds.start("patched")
await builds.promote("patched")
await builds.order("urn")
await builds.approve("kettle", "urn")
display(await builds.wait("kettle", "urn"))
attempts = await lab.orders.attempts("kettle", "urn")
attempts[attempts["step"] == "validate"]

# %% [markdown] tags=["explain"]
# **c.** *kettle* ends on the code with which it began: validated once. *urn* began on the new one: twice. Neither
# knows of the other's code, so pinned orders need no patch for this. That is why orderkit pins its own orders, which
# live for a day at most.
#
# The old worker must stay until its last order has ended. `orderkit deploy status` says when that is.
#
# A workflow that lives for months would rather be *auto-upgrade*: it goes along with each new build, and then its code
# must replay, with patches.

# %% [markdown]
# ## Round 4: ramp, promote, roll back
#
# It is wiser not to promote a build for all orders at once. So we go back to `deaf`, and send half of the new orders to
# `patched`:

# %%
await builds.roll_back()
display(await builds.ramp("patched", 50))
cups = [f"cup{number}" for number in range(1, 13)]
await builds.order(*cups)
began = {name: build for name, _, build, _ in (await builds.orders(*cups)).rows}
sorted(set(began.values()))

# %% [markdown]
# Temporal computes the build from the order's id, so twelve orders need not be six and six.
#
# It looks good, so `patched` is promoted. Then somebody calls, and everything is taken back.
#
# **Predict.** On which build do the orders end that began on `patched`?
#
# a) on `patched` · b) on `deaf` · c) they fail

# %%
predictions.ask(4)

# %%
await builds.promote("patched")
display(await builds.roll_back())
await builds.approve(*cups)
ended = {name: build for name, _, _, build in (await builds.wait(*cups)).rows}
{name: (began[name], ended[name]) for name in cups if began[name] != ended[name]}

# %%
await lab.audit(*cups)

# %% [markdown] tags=["explain"]
# **a.** They end where they began: nobody has changed sides. Ramp, promote and roll-back decide for **new** orders. No
# order on its way is touched, so none fails because of a deployment, and a roll-back takes less than a second.
#
# The price: an order that is on a bad build stays there, too.

# %% [markdown]
# ## Round 5: the deaf order, mended while it runs
#
# *teapot* has been standing still since round 2. All that the customer has said is in its history, but its build cannot
# read it:

# %%
from orderkit.errors import WaitExpired

try:
    await lab.orders.wait("teapot", within_seconds=1)
except WaitExpired as why:
    print(why)

# %% [markdown]
# In round 2 we have seen that `patched` replays it. So we move it there, with a **versioning override**: from now on
# Temporal gives this one order to the other build.
#
# **Predict.** What must the customer do again, and to which town does the package go?
#
# a) tell the new address again, then Portland · b) nothing, Springfield · c) nothing, Portland

# %%
predictions.ask(5)

# %%
await builds.move("teapot", "patched")
await builds.wait("teapot")

# %%
print(await builds.result("teapot"))
events = await lab.orders.events("teapot")
shown = ["review_opened", "address_changed", "payment_charged", "order_shipped"]
events[events["type"].isin(shown)][["type"]]

# %% [markdown] tags=["explain"]
# **c.** Temporal tried the failing workflow task again, this time with code that understands the signal. Both
# signals were waiting in the history: the address is changed, then the order is charged and shipped. Nobody had to ask
# the customer again, and nothing was done twice.
#
# (It may take ten seconds: after each failure Temporal waits longer before it tries again.)

# %%
await lab.audit("teapot")

# %% [markdown]
# ## Exercise
#
# `deaf` is stopped for good, and `patched` is the current build. Friday afternoon, the next release:

# %%
await builds.promote("patched")
await builds.stop("deaf")
await builds.start("typo")
await builds.promote("typo")
await builds.order("jar", "jug")
await builds.approve("jar", "jug")
await builds.orders("jar", "jug")

# %% [markdown]
# *jar* and *jug* are approved and do not ship, and no new order will. The code of `typo` would show why, but that can
# wait until Monday.
#
# **Save the evening.** New orders must ship again, and *jar* and *jug*, too. Terminate nothing. Then run the check. It
# starts an order of its own.

# %% tags=["exercise"]
# <solution>
await builds.roll_back()
await builds.move("jar", "patched")
await builds.move("jug", "patched")
await builds.wait("jar", "jug")
# </solution>

# %%
from orderkit.lessons.lesson_08 import release_taken_back

await release_taken_back(lab, builds, "jar", "jug")

# %% [markdown]
# ## Before you go
#
# This stops the workers of the lesson. If an order is still open, it is terminated, and *reconcile* settles it.

# %%
await builds.close()

# %%
predictions.score()

# %% [markdown]
# ## Recap
#
# | you want | you do | who is concerned |
# | --- | --- | --- |
# | know whether a change breaks orders | replay their histories, in CI and before you deploy | nobody |
# | change a workflow that lives long | `workflow.patched`, until the last old one has ended | all |
# | change one that lives a day | pin; a new build beside the old one | new orders |
# | try a build | ramp | a share of new orders |
# | take it back | roll back | new orders |
# | mend an order that stands still | move it to a build that replays it | this order |
#
# There is a third way to change what an order does: not the code, but its input. An order's retry policy is such a
# switch. It is chosen at the start and stands in the history, so every replay sees the same one. A flag that is read
# from a file in the middle of a workflow is none: tomorrow's replay would read another value.
#
# The commands for orderkit's own workers are `orderkit worker --build-id …` and `orderkit deploy`; the guide is
# `docs/how-to/change-a-running-workflow.md`. The code of this lesson's builds is in `orderkit/lessons/builds/`.
#
# **Next:** [09_write_your_own](09_write_your_own.ipynb): a workflow of your own, from the first line.
