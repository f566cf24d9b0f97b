# %% [markdown]
# # 03 · Retries and timeouts
#
# How often is a step tried? How long is the wait between two attempts? Who decides to give up? You break orders on
# purpose, in five ways, and see which of them survive.
#
# **Afterwards you can**
# - write a fault plan: which attempt of which step fails, and how;
# - read a retry policy, and say when the next attempt comes;
# - tell an error, a hang and a *no* apart, and say why they are treated differently;
# - say what a time limit is good for, and when it is too short.
#
# It takes 15 to 20 minutes.

# %%
import pandas as pd

from orderkit.lab import Lab
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
predictions = Predictions(lab.home, "03")

# %% [markdown]
# ## Round 1: trouble to order
#
# A **fault plan** travels with the order. A *script* such as `charge=error,hang,ok` names the fault of each attempt:
#
# | word | what happens to the attempt |
# | --- | --- |
# | `ok` | nothing |
# | `error` | it fails at once |
# | `hang` | it does not answer for five minutes |
# | `slow(300)` | it takes 300 milliseconds longer, and then succeeds |
# | `decline` | the outside world says no |
# | `crash` | its worker dies: lesson 00 has shown it |
#
# (`error_after`, `hang_after` and `crash_after` come in lesson 05.) A *scenario* draws the faults instead: `workshop`
# is mild, `storm` is not.
#
# **Predict.** We ask the scenario twice for the first eight attempts of one step. How do the two lists compare?
#
# a) they are the same · b) they differ: faults are random · c) the second list is milder

# %%
predictions.ask(1)

# %%
from orderkit.core.faults import decide, parse_plan
from orderkit.core.steps import Step

plan = parse_plan("storm", seed=7)
for _ in range(2):
    print(*(decide(plan, "hat", Step.CHARGE, attempt) for attempt in range(1, 9)))

# %% [markdown] tags=["explain"]
# **a.** They are the same today and tomorrow, on your machine and on mine. A fault is computed from the seed, the
# order, the step and the attempt, and never from the time. So these lessons can be tests.
#
# The code is in `orderkit/core/faults.py`.

# %% [markdown]
# ## Round 2: waiting longer each time
#
# Charge fails twice, then succeeds.
#
# **Predict.** How long does Temporal wait before attempt 2, and how long before attempt 3?
#
# a) not at all · b) the same both times · c) longer the second time

# %%
predictions.ask(2)

# %%
await lab.orders.start("coat", review="none", faults="charge=error,error,ok")
await lab.orders.wait("coat")

# %%
await lab.orders.timeline("coat")

# %%
await lab.charts.timeline("coat")

# %% [markdown] tags=["explain"]
# **c.** The two black lines are the waits: 1 second, then 2. A service in trouble gets time to recover. The *retry
# policy* says so.

# %% [markdown]
# A retry policy is data. This one is called `spec`, and is in `orderkit/core/policies.py`. Its waits in seconds, if it
# went on:

# %%
from orderkit.core.policies import BUDGET, SPEC

[SPEC.wait_seconds(failed_attempts) for failed_attempts in range(1, 7)]

# %% [markdown]
# Each wait is twice as long as the one before, but never longer than 10 seconds. It *would* go on like this: `spec`
# allows three attempts, and then gives up.
#
# ## Round 3: giving up
#
# **Predict.** Now all three attempts of charge fail. What stands in the payment provider's ledger in the end?
#
# a) nothing · b) that nothing may be charged for this order any more · c) a charge and a refund

# %%
predictions.ask(3)

# %%
await lab.orders.start("belt", review="none", faults="charge=error,error,error")
await lab.orders.wait("belt")

# %%
await lab.orders.ledger("belt")

# %% [markdown] tags=["explain"]
# **b.** The order failed, and nobody paid. But did the provider see none of our three attempts? We cannot know: one of
# them may still arrive. So the order **voids** its key at the provider, which refuses every later charge with that key.
# Lesson 05 sends such a late one.

# %% [markdown]
# After that the workflow fails, and Temporal's UI shows it in red:
#
# | the order is | its workflow is | in Temporal's UI |
# | --- | --- | --- |
# | shipped, cancelled, rejected | completed: it did what it should | green |
# | failed | failed: attempts or time ran out | red |
#
# Both orders had the same policy. So their waits must be the same:

# %%
attempts = await lab.orders.attempts("coat", "belt")
attempts[attempts["step"] == "charge"]

# %%
await lab.charts.waits("coat", "belt")

# %% [markdown]
# A dot is a wait, and a black bar is the median: 1 second after attempt 1, 2 seconds after attempt 2, for both orders.
#
# ## Round 4: no answer, and a no
#
# With `hang`, nothing comes back, not even an error. With `decline`, the bank says no.
#
# **Predict.** How many attempts do the two steps need, the one that hangs and the one that is declined?
#
# a) 2 and 2 · b) 3 and 3 · c) 2 and 1

# %%
predictions.ask(4)

# %%
await lab.orders.start("scarf", review="none", faults="prepare=hang,ok")
await lab.orders.start("ring", review="none", faults="charge=decline,ok")
await lab.orders.wait("scarf")

# %%
await lab.orders.wait("ring")

# %%
attempts = await lab.orders.attempts("scarf", "ring")
attempts[attempts["outcome"] != "completed"]

# %% [markdown] tags=["explain"]
# **c.** Each attempt has a **time limit**, here 2 seconds. After it the attempt counts as `timed_out`, and attempt 2
# may do better.
#
# A *no* is an answer, and asking again would not change it. So there was no attempt 2 of the charge, although the
# script says `ok` for it. Such an error is **non-retryable**.

# %% [markdown]
# These errors of ours are non-retryable:

# %%
from orderkit.errors import NON_RETRYABLE

[error.__name__ for error in NON_RETRYABLE]

# %% [markdown]
# ## Round 5: two policies, one script
#
# There is a second policy, `budget`. Here are both, with the time limit of an attempt in seconds:

# %%
from dataclasses import asdict

both = pd.DataFrame([asdict(policy) for policy in (SPEC, BUDGET)]).set_index("name").T
limits = pd.DataFrame({policy.name: policy.attempt_timeout_seconds for policy in (SPEC, BUDGET)})
pd.concat([both.drop("attempt_timeout_seconds"), limits])

# %% [markdown]
# `max_attempts` 0 means: no limit. `budget` tries often, and soon gives up on an attempt. Only the order's deadline
# ends it.
#
# **Predict.** Both get the same trouble. Which one ships?
#
# a) only *spec* · b) only *budget* · c) both

# %%
predictions.ask(5)

# %%
script = "prepare=error,hang,error,ok"
await lab.orders.start("spec-boots", review="none", faults=script, policy="spec")
await lab.orders.start("budget-boots", review="none", faults=script, policy="budget")
await lab.orders.wait("budget-boots")

# %%
await lab.orders.wait("spec-boots")

# %%
attempts = await lab.orders.attempts("spec-boots", "budget-boots")
attempts[attempts["step"] == "prepare"]

# %%
await lab.charts.timeline("spec-boots")

# %%
await lab.charts.timeline("budget-boots")

# %% [markdown] tags=["explain"]
# **b.** Look at the row `prepare`, and at the seconds below. `spec` waited 1 second, gave the hanging attempt 2
# seconds, waited 2 more, and had used up its three attempts. `budget` gave the hanging attempt a quarter of a second,
# and soon came to attempt 4, which succeeded.
#
# `spec` had time to undo its charge: see the rows `recall` and `refund`. Lesson 04 measures both policies on many
# orders.

# %% [markdown]
# ## Exercise
#
# So are short time limits always better? **Prove that they are not.**
#
# Find a script with which `spec` ships and `budget` fails. The cell starts two orders with it: `patient` has the policy
# spec, `hasty` has budget, and both have 6 seconds.

# %% tags=["exercise"]
script = "charge=ok"  # change this one: spec survives it, budget does not
# <solution>
script = "charge=" + "slow(500)," * 40 + "ok"
# </solution>
await lab.orders.start("patient", review="none", policy="spec", deadline=6, faults=script)
await lab.orders.start("hasty", review="none", policy="budget", deadline=6, faults=script)
for name in ("patient", "hasty"):
    print(name, (await lab.orders.wait(name)).outcome)

# %%
from orderkit.lessons import lesson_03

await lesson_03.patience_wins(lab)

# %%
predictions.score()

# %% [markdown]
# ## Recap
#
# - A **fault plan** decides in advance what happens to each attempt, so the same trouble comes every time.
# - A **retry policy** is data: the first wait, how it grows, how many attempts.
# - An *error* is tried again after a wait. A *hang* is ended by the **time limit**. A *no* is final.
# - A time limit must be longer than the slowest **healthy** answer. With a shorter one no attempt can ever succeed.
#
# Want to know more? Look at *hasty*: `await lab.charts.timeline("hasty")`. What ended it?
#
# **Next:** [04_fifteen_seconds](04_fifteen_seconds.ipynb): one deadline for the whole order, and what it does to both
# policies.
