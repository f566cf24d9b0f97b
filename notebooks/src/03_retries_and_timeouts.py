# %% [markdown]
# # 03 · Retries and timeouts
#
# How often is a step tried, how long is the wait between two attempts, and who decides to give up? You break orders on
# purpose, in five ways, and see which of them survive.
#
# **Afterwards you can**
# - write a fault plan: which attempt of which step fails, and how;
# - read a retry policy, and say when its next attempt comes;
# - tell an error, a hang and a *no*, and say why they are treated differently;
# - say what a time limit is good for, and what is wrong with a short one.
#
# It takes 15 to 20 minutes.

# %%
import pandas as pd

from orderkit.lab import Lab

lab = await Lab.start()

# %% [markdown]
# ## Round 1: trouble to order
#
# A **fault plan** travels with the order. A *script* such as `charge=error,hang,ok` says it attempt by attempt:
#
# | word | what happens to the attempt |
# | --- | --- |
# | `ok` | nothing |
# | `error` | it fails at once |
# | `hang` | it does not answer for five minutes |
# | `slow(300)` | it takes 300 milliseconds longer, and then succeeds |
# | `decline` | the outside world says no |
#
# (`error_after` and `crash` come in lessons 05 and 06.) Or a *scenario* draws the faults: `workshop` is mild, `storm`
# is not.
#
# **Predict.** We ask the scenario twice for the first eight attempts of one step. Will the answers be the same?

# %%
from orderkit.core.faults import decide, parse_plan
from orderkit.core.steps import Step

plan = parse_plan("storm", seed=7)
for _ in range(2):
    print(*(decide(plan, "hat", Step.CHARGE, attempt) for attempt in range(1, 9)))

# %% [markdown]
# **Explain.** The same, today and tomorrow, on your machine and on mine. A fault is computed from the seed, the order,
# the step and the attempt, never from the time. That is why these lessons can be tests.
#
# The code is in `orderkit/core/faults.py`.

# %% [markdown]
# ## Round 2: waiting longer each time
#
# Charge fails twice, then goes through.
#
# **Predict.** How long does Temporal wait before attempt 2, and how long before attempt 3?
#
# a) not at all · b) the same both times · c) longer the second time

# %%
await lab.orders.start("coat", review="none", faults="charge=error,error,ok")
await lab.orders.wait("coat")

# %%
await lab.orders.timeline("coat")

# %%
await lab.charts.timeline("coat")

# %% [markdown]
# **Explain.** c: the two black lines are the waits, 1 second and then 2. Whoever is in trouble gets time to recover.
# The *retry policy* says so. It is data, from `orderkit/core/policies.py`, and it would go on like this:

# %%
from orderkit.core.policies import BUDGET, SPEC

[SPEC.wait_seconds(failed_attempts) for failed_attempts in range(1, 7)]

# %% [markdown]
# **Explain.** Twice as long each time, but never more than 10 seconds. It *would* go on: this policy, `spec`, allows
# three attempts and then gives up.
#
# ## Round 3: giving up
#
# **Predict.** Now all three attempts of charge fail. How does the order end, and what stands in the payment provider's
# ledger?

# %%
await lab.orders.start("belt", review="none", faults="charge=error,error,error")
await lab.orders.wait("belt")

# %%
await lab.orders.ledger("belt")

# %% [markdown]
# **Explain.** `failed`, and nobody paid. Why is there a line at all? Our three attempts failed, but did the provider
# see none of them? We can't know. So the order **voids** its key there: should one of them arrive late, it is refused.
# Only then does the workflow fail. (Lesson 05 sends such a late one.)
#
# Both orders had the same policy. So their waits must be the same:

# %%
attempts = await lab.orders.attempts("coat", "belt")
attempts[attempts["step"] == "charge"]

# %%
await lab.charts.waits("coat", "belt")

# %% [markdown]
# **Explain.** A dot is a wait, a black bar the median: 1 second after attempt 1, 2 seconds after attempt 2, for both
# orders.
#
# ## Round 4: no answer, and a no
#
# `hang`: no error comes, nothing comes. And `decline`: the bank says no.
#
# **Predict.** How many attempts does each of the two orders need, and how do they end?

# %%
await lab.orders.start("scarf", review="none", faults="prepare=hang,ok")
await lab.orders.start("ring", review="none", faults="charge=decline,ok")
await lab.orders.wait("scarf")

# %%
await lab.orders.wait("ring")

# %%
attempts = await lab.orders.attempts("scarf", "ring")
attempts[attempts["outcome"] != "completed"]

# %% [markdown]
# **Explain.** An attempt that hangs would keep us waiting, so each attempt has a **time limit**. Here it is 2 seconds:
# then the attempt counts as `timed_out`, and the next one may do better.
#
# A *no* is an answer. Asking again would not change it, so there was no attempt 2, although the script says `ok` for
# it. Such errors are **non-retryable**. Ours are:

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
# `max_attempts` 0 means: no limit. `budget` asks often and gives up on an attempt soon. What ends it is the order's
# deadline.
#
# **Predict.** Both get the same trouble. Which one ships?

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

# %% [markdown]
# **Explain.** Look at the row `prepare`, and at the seconds below. `spec` waited 1 second, gave the hanging attempt 2,
# waited 2 more, and had used up its three attempts. `budget` gave the hanging one a quarter of a second, and soon came
# to the fourth, which went through.
#
# `spec` could undo its charge in time: the rows `recall` and `refund`. Lesson 04 measures both on many orders.

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
print(await lab.orders.wait("patient"))
print(await lab.orders.wait("hasty"))

# %%
from orderkit.lessons import lesson_03

await lesson_03.patience_wins(lab)

# %% [markdown]
# ## Recap
#
# - A **fault plan** decides each attempt's fate in advance, so the same trouble comes every time.
# - A **retry policy** is data: the first wait, how it grows, how many attempts.
# - An *error* is tried again after a wait, a *hang* is ended by the **time limit**, a *no* is final.
# - A time limit must be longer than the slowest **healthy** answer. Shorter than that, no attempt can ever succeed.
#
# Want to know more? Look at *hasty*: `await lab.charts.timeline("hasty")`. What ended it?
#
# **Next:** `04_fifteen_seconds`: one deadline for the whole order, and what it does to both policies.
