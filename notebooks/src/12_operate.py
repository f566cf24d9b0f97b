# %% [markdown]
# # 12 · Operate
#
# So far you watched every order yourself. At night nobody watches. In this lesson numbers watch for you: you read the
# metrics, let an alert fire, find its cause, and read a backup back before you need it.
#
# **Afterwards you can**
# - tell a number that a customer notices from one that only explains it;
# - say what an alert means, when it fires, and what to do then;
# - say what a backup of the database holds, and what only Temporal knows.
#
# It takes about 20 minutes.

# %%
from orderkit.lab import Lab
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
predictions = Predictions(lab.home, "12")
lab

# %% [markdown]
# Two kinds of process show numbers at an address that ends in `/metrics`: the API, and each worker. **Prometheus** is
# the program that asks them every few seconds and keeps the answers. **Grafana** draws them. The kit ships rules and
# a dashboard for both, in `deploy/`. This lesson needs neither: `lab.metrics()` asks the same addresses, once.

# %%
await lab.metrics("orderkit_workers")

# %% [markdown]
# ## Round 1: orders and attempts
#
# Three orders. *sofa* goes through at once. The charge of *chair* fails twice, then it works. The charge of *stool*
# fails three times, which is all that the policy `spec` allows.
#
# **Predict.** How many failures do the metrics show: of orders, and of attempts?
#
# a) 1 and 1 · b) 1 and 5 · c) 2 and 5

# %%
predictions.ask(1)

# %%
from orderkit.lessons.lesson_12 import ended_orders

before = await ended_orders(lab)
await lab.orders.start("sofa", review="none")
await lab.orders.start("chair", review="none", faults="charge=error,error,ok")
await lab.orders.start("stool", review="none", faults="charge=error,error,error")
[(await lab.orders.wait(name)).state for name in ("sofa", "chair", "stool")]

# %% [markdown]
# Orders by outcome, since the cell before. The API counts them in the database, every five seconds:

# %%
await ended_orders(lab, before, number=3)

# %% [markdown]
# And the attempts that did not complete, by step and kind:

# %%
await lab.failures("sofa", "chair", "stool")

# %%
await lab.charts.failures("sofa", "chair", "stool")

# %% [markdown] tags=["explain"]
# **b.** One order failed, and five attempts. Four of every five of those nobody noticed: *chair* shipped, a
# few seconds later.
#
# So there are two questions, and each has its number. *Does a customer notice?* Look at orders: how they ended, and
# whether in time. An alert belongs here. *Why?* Look at attempts: which step, which error. In a terminal that is
# `orderkit failures`. An alert on every failed attempt would wake you for nothing, and soon nobody would look at it.

# %% [markdown]
# ## Round 2: an alert
#
# This is a rule of `deploy/prometheus/rules.yml`:
#
# ```yaml
# - alert: OrderkitNoWorker
#   expr: max by (queue) (orderkit_workers) == 0
#   for: 30s
# ```
#
# Prometheus evaluates `expr` every few seconds. When it has been true for 30 seconds, the alert fires, and somebody's
# telephone rings. `firing(lab)` looks at the same numbers and asks the same question, but once, and without the 30
# seconds.

# %%
from orderkit.lessons.lesson_12 import firing

await firing(lab)

# %% [markdown]
# Now we stop the worker, and a customer orders a *rug*.
#
# **Predict.** What does the customer see, and what do you?
#
# a) an error, and no alert · b) the order is taken, and an alert once its deadline has passed · c) the order is taken,
# and the alert `OrderkitNoWorker`

# %%
predictions.ask(2)

# %%
await lab.workers.stop()
await lab.orders.start("rug", review="none", deadline=60)
await firing(lab, until="OrderkitNoWorker")

# %%
(await lab.orders.status("rug")).state

# %% [markdown] tags=["explain"]
# **c.** The API takes the order, since Temporal keeps it. The customer sees nothing wrong yet. The alert
# speaks of the **cause**, and before anybody is late. An alert on missed deadlines exists too
# (`OrderkitDeadlineMissed`): it tells you that customers were hurt, whatever the cause was.

# %% [markdown]
# An alert says *that*. `orderkit doctor` says *what* and *what to do*:

# %%
checks = await lab.doctor()
checks[checks["check"].str.startswith("queue")][["ok", "check", "what to do"]]

# %%
await lab.workers.start()
(await lab.orders.wait("rug")).state

# %% [markdown]
# The log tells the story afterwards. Each line is JSON, so it is a table:

# %%
logs = await lab.logs()
logs[logs["message"].str.startswith("worker ")][["program", "message"]].tail(2)

# %% [markdown]
# ## Round 3: who watches the watchman?
#
# In lesson 05 a workflow was terminated, and a schedule settled its order: `orderkit-reconcile`, once a minute. A
# schedule can be paused, in Temporal's UI, with one click. Somebody does that, and then terminates the workflow of
# *lamp*. Its deadline is 3 seconds.
#
# **Predict.** Which alert tells you?
#
# a) one for orders that are open after their deadline · b) `OrderkitNoWorker` · c) none, Temporal shows the workflow as
# terminated

# %%
predictions.ask(3)

# %%
from orderkit.lessons.lesson_12 import reconcile_schedule

schedule = await reconcile_schedule(lab)
await schedule.pause(note="somebody was curious")
lamp = await lab.orders.start("lamp", review="human", deadline=3)
await lab.orders.wait("lamp", until="in_review")
client = await lab.connect_temporal()
await client.get_workflow_handle(lamp.workflow_id).terminate("a slip of the hand")
await firing(lab, until="OrderkitOrdersStranded")

# %% [markdown] tags=["explain"]
# **a.** The rule does not ask about the schedule. It asks what the schedule is *for*: is any order open
# after its deadline? So it also fires when the schedule runs and fails, or when nobody ever made it. In the real rule
# it says `for: 3m`: the schedule gets three tries before anybody is woken.

# %% [markdown]
# Doctor knows the cause:

# %%
checks = await lab.doctor()
checks[checks["check"] == "reconcile schedule"][["ok", "check", "found"]]

# %% [markdown]
# We start the schedule again, and do not wait for the full minute:

# %%
await schedule.unpause()
await schedule.trigger()
(await lab.orders.wait("lamp", within_seconds=60)).state

# %%
await firing(lab, until="none")

# %% [markdown]
# ## Round 4: read a backup back
#
# A backup that nobody has ever restored is a hope. `orderkit db backup FILE` writes one while orders run. We make one
# between two orders, read it into a second database, and compare.
#
# **Predict.** What will the restored database, and what will Temporal, know of *desk* (before) and *shelf* (after)?
#
# a) both know both · b) the database knows *desk* only, Temporal both · c) both know *desk* only

# %%
predictions.ask(4)

# %%
from orderkit.lessons.lesson_12 import back_up, read_back

await lab.orders.start("desk", review="none")
await lab.orders.wait("desk")
backup = await back_up(lab)
await lab.orders.start("shelf", review="none")
await lab.orders.wait("shelf")
backup

# %% tags=["kills-a-server"]
await read_back(lab, backup, "desk", "shelf")

# %% [markdown] tags=["explain"]
# **b.** The backup is one moment of **our** database. Temporal keeps its histories in a database of its own,
# which whoever runs Temporal backs up. After a restore the two do not agree:
#
# - *Ended before the backup* (desk): both agree, and the audit has no findings.
# - *Open at the backup, ended since*: the row is open, the workflow is over. `orderkit reconcile` settles it, and
#   `orderkit audit` names what then differs from Temporal's history. A person has to look at those.
# - *Started after the backup* (shelf): only Temporal, the payment provider and the carrier know of it.
#
# The last two are the price of a backup's age. `orderkit db archive FOLDER` makes it small: it keeps every change,
# and `orderkit db restore FOLDER --until TIME` goes back to any second, for example the one before a table was
# dropped.

# %% [markdown]
# ## Exercise
#
# A drill. The next cell breaks something. Find out which alert fires, find the cause, and mend it, so that *bell*
# ships.

# %%
from orderkit.lessons.lesson_12 import drill

await drill(lab)

# %% tags=["exercise"]
# <solution>
await firing(lab, until="OrderkitNoWorker")
await lab.workers.start()
await lab.orders.wait("bell", within_seconds=60)
# </solution>

# %%
from orderkit.lessons.lesson_12 import mended

await mended(lab)

# %%
predictions.score()

# %% [markdown]
# ## Recap
#
# | you want to know | look at | in a terminal |
# | --- | --- | --- |
# | does a customer notice? | orders by outcome, missed deadlines, orders open after their deadline | `curl …/metrics` |
# | what is wrong, and what to do? | doctor | `orderkit doctor` |
# | which step fails, of what? | failures by step and kind | `orderkit failures` |
# | what happened when? | the JSON logs | `lab.logs()` |
# | is the money right? | the audit | `orderkit audit` |
#
# - Alert on what customers notice, and on causes that are sure to hurt them soon. Each alert says what to do.
# - A rule is code: `promtool test rules` tests it, and so do the kit's own tests, with a real Prometheus.
# - Restore before you need it. A backup of the database does not hold Temporal's histories.
#
# How the rules, the dashboard and Prometheus are set up is in `docs/how-to/operate.md`.
