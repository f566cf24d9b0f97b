# %% [markdown]
# # 11 · Under load
#
# One order is easy. Now you run many. You see where the time goes when more comes in than your machine can do,
# and what you can do about it, and what only looks like help.
#
# **Afterwards you can**
# - read throughput and latency, and say why one tells little without the other;
# - say what waits at no cost, and what makes an overload worse;
# - decide whether another worker helps, by measurement.
#
# It takes about 20 minutes.

# %%
from orderkit.lab import Lab
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
await lab.workers.start(1)
predictions = Predictions(lab.home, "11")
lab.workers

# %% [markdown]
# `lab.load` runs many orders: it starts them, waits for their ends, and has the auditor look at all of them.
# `concurrency` says how many are open at the same time. Nothing is broken in this lesson: all orders are calm, and
# nobody reviews them.
#
# ## Round 1: one after the other, or all at once
#
# Six orders one after the other, then twelve at once.
#
# **Predict.** At once, how long does an order take, from its start to its end?
#
# a) as long as before, the others do not concern it · b) longer, it shares the machine with the others · c) less,
# everything is warm by then

# %%
predictions.ask(1)

# %%
alone = await lab.load("alone", orders=6, concurrency=1)
together = await lab.load("together", orders=12, concurrency=12)
alone, together

# %%
times = {
    name: run.report.percentiles["p50"] for name, run in (("alone", alone), ("together", together))
}
"longer" if times["together"] > 1.3 * times["alone"] else "not longer"

# %% [markdown] tags=["explain"]
# **b.** The orders wait for each other: for the processor, and in the worker's queues. Twelve are done sooner than
# one by one, but each of them later. That is why two numbers belong together: **throughput** (orders a second) and
# **latency** (seconds until an order has ended).
#
# `p50` means: half of the orders took no longer. `p99`: all but one in a hundred. Who promises "within 15 seconds"
# promises p99, not the average.

# %% [markdown]
# The next table is different on each machine and each time:

# %% tags=["nbval-ignore-output"] why="seconds differ from run to run"
from orderkit.lessons.lesson_11 import compare

compare(alone=alone, together=together)

# %% [markdown]
# ## Round 2: sixty orders
#
# Now sixty, 20 of them open at any time. It takes 8 to 30 seconds; the bar shows how far it is.
#
# **Predict.** If you offered all 60 at the same time, what would become of the throughput, the orders a second?
#
# a) it stays as it is · b) it becomes three times as high · c) it falls to a third

# %%
predictions.ask(2)

# %%
many = await lab.load("cup", orders=60, concurrency=20)
many

# %%
await lab.charts.load(*many.orders)

# %% [markdown] tags=["explain"]
# **a.** Above is the throughput: at first orders start faster than they end, then one starts when another one ends.
# Below is each order, with its latency.
#
# If you offer more, the upper line stays where it is, and the lower one rises. Where the upper line stays flat is the
# **limit** of this machine. More load does not move it. Try it: `concurrency=60`.

# %% [markdown]
# ## Round 3: a worker that takes all it can get
#
# Our worker takes few attempts at a time: one for each processor (`ORDERKIT_WORKER_SLOTS`). The rest waits in
# Temporal's task queue. Is that not too careful? We put another one in its place, which takes **1,000 at once**, and
# give each of them 40 orders at the same moment. Their policy is `budget`, which gives most attempts a quarter of a
# second.
#
# **Predict.** How does the greedy worker do?
#
# a) better: nobody waits in a queue · b) the same: the machine is the same · c) worse: more attempts for the same work

# %%
predictions.ask(3)

# %%
modest = await lab.load("modest", orders=40, concurrency=40, policy="budget")
modest

# %%
from orderkit.lessons.lesson_11 import greedy_worker

worker = await greedy_worker(lab, slots=1000)
greedy = await lab.load("greedy", orders=40, concurrency=40, policy="budget")
await worker.dismiss()
await lab.workers.start(1)
greedy

# %% [markdown]
# 240 attempts are needed, six for each order. How many there were depends on your machine: a fast one bears 40 orders
# at once, and then both lines are alike:

# %% tags=["nbval-ignore-output"] why="how many attempts are late depends on the machine"
compare(slots_few=modest, slots_1000=greedy)

# %% [markdown] tags=["explain"]
# **c.** That is so as soon as the machine has more than it can do. Temporal counts an attempt's time from the moment at
# which a worker **takes** it. A worker that takes 1,000 attempts at once and can do four is late with all of them. Each
# late attempt is tried again, which is more work for a machine that had too much. Overload feeds itself.
#
# What waits in the task queue costs no attempt. To leave it there is called **backpressure**: a worker asks for work
# when it can do it. With 300 orders at once on two processors, a greedy worker needed 9,183 attempts, a modest one
# 1,811 (`docs/performance.md`). No order was lost in either case.

# %% [markdown]
# ## Round 4: who goes first
#
# In a crowd, many attempts wait in the same queue. Some belong to new orders, some to orders that are on their way, and
# some give money back to a customer who has cancelled.
#
# **Predict.** A slot is free. Which of them is taken?
#
# a) the one that has waited longest · b) the one that gives money back · c) the new order's: it is the shortest way

# %%
predictions.ask(4)

# %%
await lab.orders.start("undo", review="human", deadline=60)
await lab.orders.wait("undo", until="in_review")
await lab.orders.cancel("undo", via="update")
(await lab.orders.wait("undo")).state

# %%
from orderkit.lessons.lesson_11 import priorities

await priorities(lab, "undo")

# %% [markdown] tags=["explain"]
# **b.** Each activity has a **priority**; it stands in the history, and the lower number goes first
# (`orderkit/workflows/options.py`). First comes what must be done, then orders that are on their way, then new ones.
# So an overload is felt by those who came last. Without it, all orders would move on together, and all would be late
# together.
#
# Priority orders what **waits**. While slots are free, everything is taken at once.

# %% [markdown]
# Priority says *what* goes first. It does not say *whose*. If one customer sends 1,000 orders, the next customer waits
# behind all of them. For that, Temporal has **fairness**: `Priority(fairness_key="customer-7")` at a workflow's start,
# and the queue serves the keys in turn. The server must be told (`matching.enableFairness`). Our lab leaves it off, as
# its orders have no customers; `docs/scale.md` says what it did when we tried.
#
# ## Round 5: another worker
#
# **Predict.** Two worker processes instead of one, on this laptop. What becomes of the throughput?
#
# a) it doubles · b) it becomes much worse, they get in each other's way · c) about the same

# %%
predictions.ask(5)

# %%
await lab.workers.start(2)
two = await lab.load("pair", orders=30, concurrency=20)
two

# %%
(await lab.orders.attempts(*two.orders, full=True))["worker"].nunique()

# %% [markdown]
# Both had their share. And this is what it brought, on your machine:

# %% tags=["nbval-ignore-output"] why="seconds differ from run to run"
compare(one_worker=many, two_workers=two)

# %% [markdown] tags=["explain"]
# **c.** So it is on most laptops. Temporal's server, PostgreSQL and the workers share the same processors. The worker
# takes less than a third of an order's time there, and the server most of it (`docs/performance.md`). A second worker
# helps where the **worker** is the limit: on another machine, or when it computes. Measure what is busy before
# you add more of it.
#
# A second worker has another use: if one dies, the other one goes on.

# %% [markdown]
# ## Exercise
#
# A rush at night, while no worker runs. Show that the queue keeps it, and that waiting costs nothing.
#
# Start at least 12 orders, `rush01`, `rush02` … (`review="none"`, `deadline=120`). All of them must be there **before**
# the first attempt of any of them begins. Then let **two** workers do them. All ship, and the
# wait has cost no attempt.

# %% tags=["exercise"]
# <solution>
await lab.workers.stop()
rush = [f"rush{number:02}" for number in range(1, 13)]
for name in rush:
    await lab.orders.start(name, review="none", deadline=120)
await lab.workers.start(2)
for name in rush:
    await lab.orders.wait(name, within_seconds=90)
# </solution>

# %%
from orderkit.lessons.lesson_11 import waited_for_workers

await waited_for_workers(lab)

# %%
await lab.workers.start(1)

# %%
predictions.score()

# %% [markdown]
# ## Recap
#
# | you see | it means | what helps |
# | --- | --- | --- |
# | latency rises, throughput stays | you are at the limit | less load, or more of what is busy |
# | attempts time out, nothing is broken | workers take more than they can do | fewer slots |
# | the queue grows, workers are idle | too few slots, or nobody polls that queue | more slots, or a worker |
# | the queue grows, workers are busy | the workers are the limit | more workers, on other machines |
#
# - What waits in a task queue costs no attempt and is not lost. Slots are set by `ORDERKIT_WORKER_SLOTS`.
# - Priority decides what goes first, fairness whose turn it is.
# - The same in a terminal: `orderkit load --orders 300 --concurrency 50`. It ends with an audit.
#
# How far this goes, and what breaks first, is in `docs/scale.md`.
#
# **Next:** [12_operate](12_operate.ipynb): metrics, alerts, backup, and a drill.
