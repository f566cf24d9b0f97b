"""The board over real HTTP: who may call, what is refused, who is where, votes, times, the line, and a restart."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Route
from support.boards import Caller, bearer, open_board, page_of, picture_of

from orderkit.classroom import board as board_module
from orderkit.classroom import learners_app
from orderkit.classroom.board import Board, Learner
from orderkit.classroom.invitation import Invitation, make_word, read_invitation
from orderkit.classroom.messages import News
from orderkit.classroom.network import check_host, room_address
from orderkit.classroom.server import BoardServer
from orderkit.course.plan import round_minutes
from orderkit.course.progress import Verdict
from orderkit.errors import LabError


@pytest_asyncio.fixture
async def board(tmp_path: Path) -> AsyncIterator[BoardServer]:
    async with open_board(tmp_path) as server:
        yield server


@pytest_asyncio.fixture
async def room(board: BoardServer) -> AsyncIterator[Caller]:
    async with Caller(board) as caller:
        yield caller


@pytest_asyncio.fixture
async def page(board: BoardServer) -> AsyncIterator[httpx.AsyncClient]:
    async with page_of(board) as http:
        yield http


def routes_of(app: Any) -> list[Route]:
    while not hasattr(app, "routes"):
        app = app._app
    return list(app.routes)


async def test_nothing_answers_to_who_lacks_the_word(board: BoardServer, room: Caller) -> None:
    seat = await room.seat("Ada")
    apps = board._apps
    learners, page = (apps[port] for port in (board.invitation.port, board._record.page_port))
    paths = [(method, route.path) for route in routes_of(learners) for method in route.methods or ()]
    assert {path for _, path in paths} == {"/join", "/news", "/line", "/leave"}
    # The page's addresses are unknown here, also to those who know the word.
    paths += [("GET", route.path) for route in routes_of(page)] + [("GET", "/nowhere"), ("OPTIONS", "/join")]
    token = board.page_url.partition("token=")[2]
    for method, path in paths:
        for headers in ({}, bearer("otter-plum-lamp"), {"Authorization": room.word}, {"Authorization": "Bearer"}):
            room_answer = await room.http.request(method, path, headers=headers)
            assert room_answer.status_code in (401, 429), (method, path, headers)
        if path not in ("/join",):
            answer = await room.http.request(method, path, headers=bearer(room.word), params={"token": token})
            assert answer.status_code in (401, 404), (method, path)
    assert (await room.join("Bob", word=seat)).status_code == 401
    strangers = httpx.AsyncClient(base_url=board.page_url.partition("/?")[0], trust_env=False)
    async with strangers:
        for route in routes_of(page):
            for method in route.methods or ():
                for headers in ({}, bearer(room.word), bearer(seat)):
                    assert (await strangers.request(method, route.path, headers=headers)).status_code == 403
        assert (await strangers.get("/", params={"token": "wrong"})).status_code == 403


async def test_a_page_of_another_site_may_press_nothing(page: httpx.AsyncClient) -> None:
    assert (await page.post("/call/05/2")).status_code == 200
    for foreign in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        assert (await page.post("/call/05/2", headers=foreign)).status_code == 403
    assert (await page.post("/call/05/99")).status_code == 409


async def test_guesses_of_the_word_are_bounded_and_learners_go_on(board: BoardServer, room: Caller) -> None:
    seat = await room.seat("Ada")
    answers = [(await room.join("Eve", word=make_word())).status_code for _ in range(learners_app.WRONG_AT_ONCE + 5)]
    assert answers[0] == 401 and answers[-1] == 429
    assert (await room.join("Eve")).status_code == 429  # also with the word: no answer says that it was right
    assert await room.tell(seat, lesson="00", round="1") == 204


async def test_names_are_bounded(room: Caller) -> None:
    for name in ("", " ", "x" * 25, "<b>Ada</b>", "Ada\u202e", "Ada\x00", 7, None, "a;b"):
        assert (await room.join(name)).status_code == 422, name


async def test_a_name_belongs_to_who_has_its_seat(room: Caller) -> None:
    assert (await room.join("  Zoë   O'Neil-Ång 2 ")).json()["name"] == "Zoë O'Neil-Ång 2"
    seat = await room.seat("Ada")
    assert (await room.join("ADA")).status_code == 409
    again = await room.join("Ada", seat=seat)
    assert again.json() == {"name": "Ada", "seat": seat}
    assert (await room.http.post("/leave", headers=bearer(seat))).status_code == 204
    assert await room.tell(seat, lesson="00", round="1") == 401
    assert await room.seat("Ada") != seat


async def test_bodies_rates_and_numbers_are_bounded(
    board: BoardServer, room: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat = await room.seat("Ada")
    for wrong in (
        {"lesson": "99", "round": "1"}, {"lesson": "00", "round": "9"}, {"round": "1"}, {"prediction": "d"},
        {"verdict": "fine"}, {"code": "print()"},
    ):  # fmt: skip
        assert await room.tell(seat, **wrong) == 422, wrong
    big = await room.http.post("/news", json={"lesson": "0" * 2000}, headers=bearer(seat))
    assert big.status_code == 413
    text = await room.http.post("/news", content="{}", headers=bearer(seat) | {"Content-Type": "text/plain"})
    assert text.status_code == 415
    answers = [await room.tell(seat, lesson="00", round="1") for _ in range(learners_app.NEWS_AT_ONCE + 1)]
    assert answers[0] == 204 and answers[-1] == 429
    monkeypatch.setattr(board_module, "MOST_LEARNERS", 2)
    await room.seat("Bob")
    assert "full" in (await room.join("Cay")).text


async def test_votes_are_hidden_until_they_are_shown(room: Caller, page: httpx.AsyncClient) -> None:
    for name, choice in (("Ada", "a"), ("Bob", "b"), ("Cay", "b")):
        seat = await room.seat(name)
        await room.tell(seat, lesson="03", round="2")
        await room.tell(seat, lesson="03", round="2", prediction="c")
        await room.tell(seat, lesson="03", round="2", prediction=choice)
    hidden = await picture_of(page)
    assert hidden["votes"] == {"03 2": {"voted": 3, "shown": False, "counts": None}}
    assert hidden["places"][0]["names"][0] == {"name": "Ada", "state": "", "voted": True, "away": True}
    await page.post("/show/03/2")
    assert (await picture_of(page))["votes"]["03 2"]["counts"] == {"a": 1, "b": 2, "c": 0}
    await page.post("/hide/03/2")
    assert (await picture_of(page))["votes"]["03 2"]["counts"] is None


async def lines_of(room: Caller, seat: str, heard: list[str]) -> None:
    async with room.http.stream("GET", "/line", headers=bearer(seat), timeout=30) as stream:
        heard.append("connected")
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                heard.append(json.loads(line[5:])["text"])


async def until(what: Any, within_seconds: float = 10) -> None:
    async with asyncio.timeout(within_seconds):
        while not what():  # noqa: ASYNC110 - what is awaited is in other objects
            await asyncio.sleep(0.02)


async def test_everybody_hears_the_line_once(room: Caller, page: httpx.AsyncClient) -> None:
    heard: dict[str, list[str]] = {"Ada": [], "Bob": []}
    seats = {name: await room.seat(name) for name in heard}
    tasks = [asyncio.create_task(lines_of(room, seats[name], heard[name])) for name in heard]
    await until(lambda: all(heard.values()))
    assert (await picture_of(page))["connected"] == 2
    said = (await page.post("/call/05/2")).json()["said"]
    assert said == "The instructor asks all to go to lesson 05, round 2."
    await until(lambda: all(each == ["connected", said] for each in heard.values()))
    tasks[0].cancel()
    late = await room.seat("Cay")  # joins after the line was said
    heard |= {"Ada": [], "Cay": []}
    tasks += [asyncio.create_task(lines_of(room, seat, heard[n])) for n, seat in (("Ada", seats["Ada"]), ("Cay", late))]
    await until(lambda: heard["Cay"] == ["connected", said])
    await page.post("/remove/Bob")
    await asyncio.wait_for(tasks[1], 5)  # its stream has ended
    await page.post("/call/07/free-tea")
    await until(lambda: len(heard["Ada"]) == 2)
    assert heard["Ada"] == ["connected", "The instructor asks all to go to lesson 07, free tea."]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_restarted_board_goes_on_and_a_new_one_does_not(tmp_path: Path) -> None:
    async with open_board(tmp_path) as first, Caller(first) as caller:
        seat = await caller.seat("Ada")
        await caller.tell(seat, lesson="03", round="2")
        await caller.tell(seat, verdict="waiting")
    file = tmp_path / "class-board.json"
    assert file.stat().st_mode & 0o077 == 0
    async with open_board(tmp_path, first.invitation.port) as again, Caller(again) as caller:
        assert (again.continues, again.page_url, again.invitation) == (True, first.page_url, first.invitation)
        assert await caller.tell(seat, lesson="03", round="3") == 204
        async with page_of(again) as page:
            picture = await picture_of(page)
        assert [each["place"] for each in picture["places"]] == ["03 3"]
        assert [(each["round"], each["learners"]) for each in picture["times"]] == [("2", 1)]
    old = json.loads(file.read_text())
    file.write_text(json.dumps(old | {"opened": time.time() - 13 * 3600}))
    async with open_board(tmp_path) as yesterdays:
        assert not yesterdays.continues and yesterdays.invitation.word != first.invitation.word
    file.write_text("{")
    with pytest.raises(LabError, match="--new"):
        BoardServer("127.0.0.1", 0, file)
    async with open_board(tmp_path, new=True) as fresh:
        assert not fresh.board.learners


def at(lesson: str, round: str, prediction: Any = "", verdict: Verdict | None = None) -> News:
    return News(lesson=lesson, round=round, prediction=prediction, verdict=verdict)


def test_who_is_stuck() -> None:
    board = Board()
    ada = board.join("Ada", "", 0.0)

    def after(*verdicts: Verdict | None, round: str = "5") -> str:
        for each in verdicts:
            board.hear(ada, at("03", round, verdict=each), 0.0)
        return ada.stuck

    assert after(None, Verdict.MISSED, Verdict.MISSED) == ""
    assert after(Verdict.MISSED) == "the check failed 3 times"
    assert after(Verdict.SOLVED) == "" and ada.solved
    assert after(Verdict.WAITING) == "a cell waits"
    assert after(Verdict.EXPIRED) == "a wait gave up"
    assert after(Verdict.GOING) == ""
    assert after(Verdict.EXPIRED) and after(None, round="4") == ""  # another round, another try


def test_times_are_medians_of_first_times_beside_the_plan() -> None:
    board = Board()

    def walk(name: str, *minutes: float) -> Learner:
        learner, now = board.join(name, "", 0.0), 0.0
        for number, taken in enumerate(minutes, start=1):
            board.hear(learner, at("03", str(number)), now)
            board.hear(learner, at("03", str(number), "a"), now + 10)
            board.hear(learner, at("03", "1", "b"), now + 20)  # another mind: nobody goes back by that
            now += taken * 60
        board.hear(learner, at("03", str(len(minutes)), verdict=Verdict.SOLVED), now)
        board.hear(learner, at("03", "1"), now + 999)
        board.hear(learner, at("03", "2"), now + 9999)
        return learner

    walk("Ada", 2, 3, 4, 5, 6)
    walk("Bob", 4, 5, 6, 7, 20)
    walk("Cay", 3, 30)
    times = {each["round"]: each for each in board.times()}
    assert [times[number]["median_minutes"] for number in "12345"] == [3, 5, 5, 6, 13]
    assert [times[number]["learners"] for number in "12345"] == [3, 3, 2, 2, 2]
    assert times["5"]["planned_minutes"] == round_minutes("03", "5") > times["1"]["planned_minutes"]


def test_an_invitation_says_where_the_board_is() -> None:
    for invitation in (Invitation(make_word(), "192.168.1.5"), Invitation(make_word(), "hub.local", 80)):
        assert read_invitation(f" {str(invitation).upper()}\n") == invitation
    for wrong in ("otter-plum-lamp", "otter-plum@192.168.1.5", "otter-plum-lamp@", "otter-plum-lamp@a:99999", ""):
        with pytest.raises(LabError, match="otter-plum-lamp@192"):
            read_invitation(wrong)


def test_a_class_listens_on_one_address() -> None:
    assert check_host(room := "192.168.1.5") == room
    for everywhere in ("0.0.0.0", "::", ""):
        with pytest.raises(LabError, match="--host"):
            check_host(everywhere)
    try:
        assert not room_address().startswith(("127.", "0."))
    except LabError as error:
        assert "--host" in str(error)
