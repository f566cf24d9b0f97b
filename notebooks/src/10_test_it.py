# %% [markdown]
# # 10 · Test it
#
# A workflow may wait for days, and its worst moments are rare. A test must not wait, and has those moments at will.
#
# **Afterwards you can**
# - test a workflow with a server that skips time;
# - put a function of your own in the place of an activity, and let it fail as you like;
# - keep a history, and see by its replay whether a change would break open runs;
# - write the test that would have found a bug of the museum.
#
# It takes about 20 minutes. Lessons 07 and 09 come first.

# %%
from orderkit.lab import Lab
from orderkit.lessons.predictions import Predictions

lab = await Lab.start()
predictions = Predictions(lab.home, "10")
lab

# %% [markdown]
# This is what we test. It sends an invoice, gives the customer three days, sends a reminder, gives three more days.


# %%
# %%workflow
@activity.defn
async def send(letter: str) -> str:
    return f"sent: {letter}"


@workflow.defn
class Invoice:
    paid = False

    @workflow.signal
    def pay(self) -> None:
        self.paid = True

    @workflow.run
    async def run(self, customer: str) -> str:
        for letter in ("invoice", "reminder"):
            limit = timedelta(seconds=5)
            await workflow.execute_activity(
                send, f"{letter} for {customer}", start_to_close_timeout=limit
            )
            try:
                await workflow.wait_condition(lambda: self.paid, timeout=timedelta(days=3))
                return f"paid after the {letter}"
            except TimeoutError:
                pass
        return "a case for the lawyer"


# %% [markdown]
# ## Round 1: six days
#
# A cell that begins with `%%test invoice` becomes the file `test_invoice.py` beside `invoice.py`. **pytest** runs it in
# a process of its own. Its first line stands for the imports: `pytest`, `Worker`, `Replayer` and the like.
#
# `server` is a Temporal server that this test alone has.
#
# **Predict.** Nobody pays. How long does the test take?
#
# a) six days · b) six seconds · c) about one second

# %%
predictions.ask(1)

# %%
# %%test invoice
from invoice import Invoice, send


async def test_nobody_pays(server):
    began = await server.get_current_time()
    async with Worker(server.client, task_queue="q", workflows=[Invoice], activities=[send]):
        said = await server.client.execute_workflow(Invoice.run, "ada", id="i", task_queue="q")
    assert said == "a case for the lawyer"
    assert await server.get_current_time() - began > timedelta(days=6)


# %% [markdown] tags=["explain"]
# **c.** While all that happens is that a timer runs, this server sets its clock forward to the timer's end.
# The workflow does not notice: it has its time from the server. That is one more reason why workflow code may not ask
# the machine's clock.

# %% [markdown]
# ## Round 2: a letter that is never sent
#
# A test sends no letters. So it gives the worker another function **under the same name**: what Temporal asks for is
# `send`, and it is not interested in who does it.
#
# **Predict.** Ada pays on the second day. Which letters were sent?
#
# a) the invoice · b) the invoice and the reminder · c) none

# %%
predictions.ask(2)

# %%
# %%test invoice
from invoice import Invoice

letters = []


@activity.defn(name="send")
async def noted(letter: str) -> None:
    letters.append(letter)


async def test_who_pays_on_the_second_day_is_not_reminded(server):
    async with Worker(server.client, task_queue="q", workflows=[Invoice], activities=[noted]):
        run = await server.client.start_workflow(Invoice.run, "ada", id="i", task_queue="q")
        await server.sleep(timedelta(days=1))
        await run.signal(Invoice.pay)
        assert await run.result() == "paid after the invoice"
    assert letters == ["invoice for ada"]


# %% [markdown] tags=["explain"]
# **a.** `server.sleep` sets the clock forward by a day. Here you play the customer, and time is yours.

# %% [markdown]
# ## Round 3: the lost answer
#
# Lesson 05 had the meanest fault: the deed was done, and its answer got lost. A test has that in two lines.
#
# **Predict.** How many invoices does ada get?
#
# a) none, the run fails · b) one · c) two

# %%
predictions.ask(3)

# %%
# %%test lost
from invoice import Invoice

letters = []


@activity.defn(name="send")
async def lost_at_first(letter: str) -> None:
    letters.append(letter)
    if len(letters) == 1:
        raise ConnectionError("the answer got lost")


async def test_a_lost_answer_sends_no_second_invoice(server):
    async with Worker(
        server.client, task_queue="q", workflows=[Invoice], activities=[lost_at_first]
    ):
        await server.client.execute_workflow(Invoice.run, "ada", id="i", task_queue="q")
    assert letters == ["invoice for ada", "reminder for ada"]


# %% [markdown] tags=["explain"]
# **c.** The test is red, and it is right: it has found a bug before a customer did. An activity that is tried
# again does its deed again. The remedy is lesson 05's: an idempotency key, here the letter and the run's id, and a post
# office that does each key once.

# %% [markdown]
# ## Round 4: a history as a test
#
# This run really took place, on the lab's server. We keep its history as a file.

# %%
await lab.workflows.start("Invoice", "grace")
await lab.workflows.signal("invoice", "pay")
await lab.workflows.wait("invoice")

# %%
(await lab.workflows.save_history("invoice")).name

# %%
# %%test history
from invoice import Invoice


async def test_a_run_of_yesterday_replays():
    history = WorkflowHistory.from_json("invoice", Path("invoice.json").read_text())
    await Replayer(workflows=[Invoice]).replay_workflow(history)


# %% [markdown]
# Next, somebody improves the workflow: the customer gets an hour's peace first.
#
# **Predict.** What does the same test say then?
#
# a) green, since the result is the same · b) red · c) it waits for an hour

# %%
predictions.ask(4)


# %%
# %%workflow
@activity.defn
async def send(letter: str) -> str:
    return f"sent: {letter}"


@workflow.defn
class Invoice:
    @workflow.run
    async def run(self, customer: str) -> str:
        await workflow.sleep(timedelta(hours=1))
        await workflow.execute_activity(
            send, f"invoice for {customer}", start_to_close_timeout=timedelta(seconds=5)
        )
        return "sent"


# %%
report = await lab.tests.run("history")
report.results[0].outcome, "Nondeterminism" in report.results[0].message

# %% [markdown] tags=["explain"]
# **b.** The replay starts no timer and sends no letter. It only compares what the code wants with what the
# history has, and here the code wants a timer where the history has an activity.
#
# So a handful of kept histories is the cheapest test that a workflow can have. Ours are in `tests/workflows/histories`,
# and each change of `OrderWorkflow` must replay them.

# %% [markdown]
# ## Round 5: the museum
#
# Why did nobody find the museum's bugs? In the quiet case each exhibit works. A test needs the fault, and must look at
# what became of the **customer** and not at the code.
#
# With the argument `shop`, a test runs twice: on the exhibit that it names, and on our `OrderWorkflow`, under the same
# faults and messages.
#
# **Predict.** The card is declined. Of the two runs, which are red?
#
# a) both, a declined card is an error · b) the exhibit's · c) none, nothing raises an error

# %%
predictions.ask(5)


# %%
# %%test tea
async def test_who_has_not_paid_gets_nothing(shop):
    visit = await shop("free-tea", faults="charge=decline")
    assert ("charge" in visit.ledger) == ("dispatch" in visit.ledger)


# %% [markdown] tags=["explain"]
# **b.** The ledger says what really happened, to both sides: there is a `dispatch` and no `charge`. The test
# knows nothing of `except Exception`, and would find the next bug of that kind, too.

# %% [markdown]
# ## Exercise: three more
#
# Write a test for each of these exhibits: `polite-cancel` (who cancels gets the money back), `hasty-clerk` (nobody pays
# twice), `early-news` (shipped means that the carrier has the package). Their own faults will do: `await shop("…")`.
#
# A visit has `state`, and `ledger`: a tuple of what was done, such as `("charge", "refund")`.


# %% tags=["exercise"]
# %%test bugs
# <solution>
async def test_who_cancels_gets_the_money_back(shop):
    visit = await shop("polite-cancel")
    assert visit.ledger.count("charge") == visit.ledger.count("refund")


async def test_nobody_pays_twice(shop):
    visit = await shop("hasty-clerk")
    assert visit.ledger.count("charge") <= 1


async def test_shipped_means_that_the_carrier_has_it(shop):
    visit = await shop("early-news")
    assert (visit.state == "shipped") == ("dispatch" in visit.ledger)


# </solution>

# %%
from orderkit.lessons import lesson_10

lesson_10.bugs_found(lab)

# %% [markdown]
# These are ours, one for each of the seven exhibits. The kit's own tests run them, too.

# %%
from orderkit.lab import source
from orderkit.lessons.museum import finding_tests

source(finding_tests)

# %%
predictions.score()

# %% [markdown]
# ## Recap
#
# - A server that skips time makes days out of milliseconds. The workflow's own clock is the server's.
# - A mock is a function with the activity's name. It notes what it was asked for, and fails when you say so.
# - Test the fault that is worst: the deed is done, and its answer is lost.
# - A kept history, replayed, finds the change that would break open runs, before anybody deploys it.
# - Assert what must be true for a customer. Look at the ledger, not at the code.
#
# The files are kept: `lab.workflows.file("invoice")`.
#
# **Next:** [11_under_load](11_under_load.ipynb): what happens when there is too much to do.
