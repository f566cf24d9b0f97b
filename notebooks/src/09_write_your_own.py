# %% [markdown]
# # 09 · Write your own
#
# Until now you have run our workflow. Now you write one: in a cell, served by a worker of its own, with Temporal's
# sandbox around it. No order takes part in this lesson.
#
# **Afterwards you can**
# - write a workflow with activities, a signal, a timer and retries;
# - say what workflow code may not do, and why;
# - mend a workflow while it runs.
#
# It takes about 20 minutes.

# %%
from orderkit.lab import Lab
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
predictions = Predictions(lab.home, "09")
lab

# %% [markdown]
# A cell that begins with `%%workflow` is a file of its own. Its first line stands for the imports that every workflow
# needs: `asyncio`, `timedelta`, `activity`, `workflow`, `RetryPolicy`, and the two errors `ActivityError` and
# `ApplicationError`. What you write below it is the rest of the file.
#
# ## Round 1: a first one
#
# An **activity** is a function that does something. A **workflow** is a class that says what is done when. The workflow
# asks for the activity; it does not call it.
#
# **Predict.** You run the cell of this workflow. Which process will run its code later?
#
# a) this notebook's kernel · b) a new worker · c) Temporal's server

# %%
predictions.ask(1)


# %%
# %%workflow
@activity.defn
async def boil(litres: int) -> str:
    return f"{litres} l of hot water"


@workflow.defn
class Tea:
    @workflow.run
    async def run(self, guest: str) -> str:
        water = await workflow.execute_activity(
            boil, 1, start_to_close_timeout=timedelta(seconds=3)
        )
        return f"tea for {guest}, from {water}"


# %%
lab.workers

# %% [markdown] tags=["explain"]
# **b.** `own-tea` has just started. It serves a **task queue** of its own, and ends with this kernel. Run the
# cell again whenever you change it: a new worker takes the place of the old one.

# %%
await lab.workflows.start("Tea", "ada")
await lab.workflows.wait("tea")

# %%
await lab.workflows.history("tea")

# %% [markdown]
# Temporal's server has never seen your code. It has recorded that someone asked for `boil`, and what came back.
#
# ## Round 2: what workflow code may not do
#
# A worker may die at any moment. Then another one runs the workflow's code from its beginning, and takes what has
# already happened from the history: **replay**. That works only if the code decides the same every time.
#
# **Predict.** Which of the four lines in `run` break that?
#
# a) only the one that reaches the internet · b) `random` and `datetime.now` · c) all four

# %%
predictions.ask(2)

# %% tags=["raises-exception"]
# %%workflow
import random
import time
from datetime import datetime
import requests


@workflow.defn
class Lottery:
    @workflow.run
    async def run(self) -> str:
        time.sleep(1)
        drawn = random.randint(1, 49)
        requests.post("https://example.com/drawn", json={"number": drawn})
        return f"{drawn} at {datetime.now()}"


# %% [markdown] tags=["explain"]
# **c.** Chance and the clock answer differently the second time. A call to the outside would happen twice.
# `time.sleep` stops the worker with all its workflows, and nobody remembers it when the worker dies; a timer of
# `workflow.sleep` waits in Temporal's server.
#
# The cell was refused in a moment, so nothing has changed: no `Lottery` is served. That check knows the usual mistakes.
# It reads your code and does not run it.
#
# What an activity does is not replayed. All four lines are allowed there, and `time.sleep` in a function without
# `async`.

# %% [markdown]
# ## Round 3: without the check
#
# `%%workflow --unchecked` leaves it to Temporal itself.
#
# **Predict.** What becomes of this run?
#
# a) it stands still · b) it fails · c) it draws a number, and nobody notices

# %%
predictions.ask(3)

# %%
# %%workflow --unchecked
import random


@workflow.defn
class Lottery:
    @workflow.run
    async def run(self) -> bool:
        drawn = random.randint(1, 49)
        return 1 <= drawn <= 49


# %% tags=["raises-exception"]
await lab.workflows.start("Lottery")
await lab.workflows.wait("lottery")

# %% [markdown] tags=["explain"]
# **a.** The **sandbox**, in which the worker runs workflow code, refuses the call. For Temporal that is a bug
# in your code and no end of the workflow. So it tries the same step again and again, until somebody mends the code.

# %% [markdown]
# Nothing is lost. Mend it, and the same run goes on:


# %%
# %%workflow
@workflow.defn
class Lottery:
    @workflow.run
    async def run(self) -> bool:
        drawn = workflow.random().randint(1, 49)
        return 1 <= drawn <= 49


# %%
await lab.workflows.wait("lottery")

# %% [markdown]
# `workflow.random()`, `workflow.now()` and `workflow.uuid4()` give the same in each replay.
#
# ## Round 4: two at the same time
#
# Two pots on one stove. The second one boils over at first, as the code says.
#
# **Predict.** How many attempts of `heat` are in the history of this run?
#
# a) two, one for each pot · b) two, and one of them has the number 2 · c) three

# %%
predictions.ask(4)


# %%
# %%workflow
@activity.defn
async def heat(pot: str) -> str:
    if pot == "milk" and activity.info().attempt == 1:
        raise ValueError("the milk has boiled over")
    return f"hot {pot}"


@workflow.defn
class Stove:
    @workflow.run
    async def run(self) -> list[str]:
        limit = timedelta(seconds=2)
        pots = [
            workflow.execute_activity(heat, pot, start_to_close_timeout=limit)
            for pot in ("soup", "milk")
        ]
        return await asyncio.gather(*pots)


# %%
await lab.workflows.start("Stove")
await lab.workflows.wait("stove")

# %%
events = await lab.workflows.history("stove", full=True)
events[events["type"] == "ACTIVITY_TASK_SCHEDULED"][["id", "type", "name"]]

# %%
sorted(events[events["type"] == "ACTIVITY_TASK_STARTED"]["attempt"].astype(int))

# %% [markdown] tags=["explain"]
# **b.** Both were scheduled one right after the other (events 5 and 6), before either had ended: `gather`
# awaits them together. Temporal tried the milk again after a second, which is its default. The history keeps the last
# attempt, with its number.

# %% [markdown]
# ## Round 5: a guest, a timer, and a change
#
# `Visit` waits for a signal, and not for ever: `wait_condition` takes a `timeout`.


# %%
# %%workflow
@workflow.defn
class Visit:
    guest = ""

    @workflow.signal
    def arrived(self, guest: str) -> None:
        self.guest = guest

    @workflow.run
    async def run(self, seconds: float) -> str:
        try:
            await workflow.wait_condition(
                lambda: self.guest != "", timeout=timedelta(seconds=seconds)
            )
        except TimeoutError:
            return "nobody came"
        return f"{self.guest} came"


# %%
await lab.workflows.start("Visit", 600, name="ada")
await lab.workflows.start("Visit", 0.5, name="alone")
await lab.workflows.wait("alone")

# %% [markdown]
# Nobody came to this one. The visit called `ada` still waits; it has ten minutes.
#
# **Predict.** Ada comes in time. What will her history say of the timer?
#
# a) nothing, it was not needed · b) `TIMER_FIRED` · c) `TIMER_CANCELED`

# %%
predictions.ask(5)

# %%
await lab.workflows.signal("ada", "arrived", "ada")
await lab.workflows.wait("ada")

# %%
await lab.workflows.history("ada")

# %% [markdown] tags=["explain"]
# **c.** Whoever waits with a timeout sets a timer, a line in the server's storage. Ada came first, so it was
# cancelled.

# %% [markdown]
# Now somebody waits while you change the code. A wait that gives up says what the run waits for:

# %% tags=["raises-exception"]
await lab.workflows.start("Visit", 600, name="grace")
await lab.workflows.wait("grace", within_seconds=1)

# %% [markdown]
# **Predict.** From now on `Visit` shall set the table and do no more. What happens to grace's run?
#
# a) the cell is refused · b) it sets the table · c) it goes on as it began, and new runs set the table

# %%
predictions.ask("5b")


# %% tags=["raises-exception"]
# %%workflow
@workflow.defn
class Visit:
    @workflow.run
    async def run(self, seconds: float) -> str:
        await workflow.execute_activity("set_table", start_to_close_timeout=timedelta(seconds=1))
        return "the table is set"


# %% [markdown] tags=["explain"]
# **a.** In grace's history, the first thing that `Visit` did was to set a timer. The new code would do
# something else there, so this history cannot be replayed with it. The cell tried that before it let the new worker
# begin.

# %% [markdown]
# The old code goes on for grace:

# %%
await lab.workflows.signal("grace", "arrived", "grace")
await lab.workflows.wait("grace")

# %% [markdown]
# [Lesson 08](08_change_a_running_workflow.ipynb) shows how code is changed while runs are open.
#
# ## Exercise: a party
#
# Here is a kitchen. Nobody can bake a stone, and the first cup of tea is always spilled.


# %%
# %%workflow kitchen
@activity.defn
async def bake(cake: str) -> str:
    if cake == "stone":
        raise ValueError("nobody can bake a stone")
    return f"{cake} cake"


@activity.defn
async def brew(tea: str) -> str:
    if activity.info().attempt == 1:
        raise ValueError("spilled")
    return f"{tea} tea"


# %% [markdown]
# Write the workflow `Party`. Its `run` takes the cake, for example `"nut"`. It
# - bakes that cake and brews `"green"` tea **at the same time**, and tries each at most **three** times;
# - then waits for the signal `arrived(guest)`, at most one second;
# - returns `"nut cake and green tea for ada"`, or `"nobody came"`.

# %% tags=["exercise"]
# %%workflow
from kitchen import bake, brew


# <solution>
OFTEN = RetryPolicy(initial_interval=timedelta(seconds=0.1), maximum_attempts=3)
LIMITS = {"start_to_close_timeout": timedelta(seconds=2), "retry_policy": OFTEN}


@workflow.defn
class Party:
    guest = ""

    @workflow.signal
    def arrived(self, guest: str) -> None:
        self.guest = guest

    @workflow.run
    async def run(self, cake: str) -> str:
        baked = workflow.execute_activity(bake, cake, **LIMITS)
        brewed = workflow.execute_activity(brew, "green", **LIMITS)
        eats, drinks = await asyncio.gather(baked, brewed)
        try:
            await workflow.wait_condition(lambda: self.guest != "", timeout=timedelta(seconds=1))
        except TimeoutError:
            return "nobody came"
        return f"{eats} and {drinks} for {self.guest}"


# </solution>

# %%
from orderkit.lessons import lesson_09

await lesson_09.party(lab)

# %%
predictions.score()

# %% [markdown]
# ## Recap
#
# - A workflow says what is done when; activities do it. Workflow code is replayed, activities are not.
# - Workflow code has no clock, no chance, no calls to the outside, no `time.sleep`. It has `workflow.now()`,
#   `workflow.random()`, `workflow.sleep()`, and activities.
# - A bug in workflow code fails nothing. The run stands still until the code is mended, and then goes on.
# - `asyncio.gather` runs activities at the same time; `wait_condition` waits for a signal, with a timer if you like.
#
# The files are kept: `lab.workflows.file("party")`.
#
# **Next:** [10_test_it](10_test_it.ipynb): tests for what you have written.
