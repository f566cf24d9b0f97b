"use strict";
// Draws each picture that the board sends; buttons ask the board, and change nothing here.
const MANY = 60; // learners: the names of more are drawn smaller
const SLOW = 1.5; // times the plan
const $ = (id) => document.getElementById(id);
let picture = null, lost = false;
let chosen = false; // whether the instructor chose a round's votes; else they are those of most people

history.replaceState(null, "", location.pathname); // the token is in a cookie now, and on no beamer

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function say(text, bad = false) {
  $("said").textContent = text;
  $("said").classList.toggle("bad", bad);
}

async function ask(...path) {
  try {
    const answer = await fetch("/" + path.map(encodeURIComponent).join("/"), { method: "POST" });
    say((await answer.json()).said, !answer.ok);
  } catch {
    say("the board does not answer; is its terminal still open?", true);
  }
}

const isNumber = (round) => /^\d/.test(round);
const title = (place) => {
  const [lesson, round] = place.split(" ");
  return round ? `${lesson}, ${isNumber(round) ? "round " : ""}${round.replace("-", " ")}` : "not in a round yet";
};

// Keeps what is there, so that neither focus nor an open list is lost.
function fill(element, made) {
  const now = made.map((each) => each.outerHTML).join("");
  if (element.dataset.now === now) return;
  element.dataset.now = now;
  element.replaceChildren(...made);
}

function options(select, words, texts = words) {
  const before = select.value;
  fill(select, words.map((word, number) => make("option", { value: word, textContent: texts[number] })));
  if (words.includes(before)) select.value = before;
}

function drawPlaces() {
  $("places").className = picture.learners > MANY ? "many" : "";
  fill($("places"), picture.places.map(({ place, names }) => {
    const voted = names.filter((each) => each.voted).length;
    const head = make("h3", { textContent: `${title(place)}: ${names.length}${place ? `, ${voted} voted` : ""}` });
    const items = names.map(({ name, state, voted, away }) => {
      const words = [state, voted ? "voted" : "", away ? "away" : ""].filter(Boolean);
      const item = make("li", { className: ["name", ...words].join(" "), textContent: name });
      item.title = words.join(", ");
      return item;
    });
    return make("div", { className: "place" }, head, make("ul", { className: "names" }, ...items));
  }));
}

function drawStuck() {
  const lines = picture.stuck.map(({ name, place, why, minutes }) => make("li", {},
    make("b", { textContent: name }), make("span", { textContent: `${why}${minutes ? `, ${minutes} min` : ""}` }), make("span", { className: "where", textContent: title(place) })));
  fill($("stuck"), lines.length ? lines : [make("li", { textContent: "nobody" })]);
  $("stuck").tabIndex = lines.length > 6 ? 0 : -1;
  options($("name"), picture.places.flatMap(({ names }) => names.map(({ name }) => name)).sort());
}

function drawVotes() {
  const places = Object.keys(picture.votes);
  options($("place"), places, places.map(title));
  if (!chosen && places.length) {
    const most = [...picture.places].filter(({ place }) => place).sort((one, other) => other.names.length - one.names.length)[0];
    $("place").value = most ? most.place : places.at(-1);
  }
  const votes = picture.votes[$("place").value];
  $("show").disabled = !votes;
  if (!votes) { $("voted").textContent = "nobody has voted yet"; fill($("bars"), []); return; }
  $("show").textContent = votes.shown ? "Hide the votes" : "Show the votes";
  $("voted").textContent = `${votes.voted} of ${picture.learners} have voted${votes.shown ? "" : "; hidden until you show them"}`;
  fill($("bars"), votes.shown ? picture.choices.map((choice) => {
    const bar = make("i");
    bar.dataset.share = votes.counts[choice] / Math.max(1, votes.voted);
    return make("div", { className: "bar" }, make("span", { textContent: choice }), make("div", {}, bar), make("span", { textContent: votes.counts[choice] }));
  }) : []);
  for (const bar of document.querySelectorAll("#bars i")) bar.style.width = `${100 * bar.dataset.share}%`;
}

function drawCall() {
  options($("lesson"), picture.lessons.map(([lesson]) => lesson));
  options($("round"), picture.lessons.find(([lesson]) => lesson === $("lesson").value)[1]);
  $("line").textContent = picture.line ? `Last: ${picture.line}` : "";
}

function drawTimes() {
  fill($("times"), picture.times.map(({ lesson, round, planned_minutes: plan, median_minutes: taken, learners }) => make("tr", {},
    make("th", { scope: "row", textContent: title(`${lesson} ${round}`) }), make("td", { textContent: plan.toFixed(1) }),
    make("td", { className: taken > SLOW * plan ? "over" : "", textContent: `${taken.toFixed(1)}${taken > SLOW * plan ? " !" : ""}` }), make("td", { textContent: learners }))));
  $("time").tabIndex = picture.times.length > 8 ? 0 : -1;
}

function draw() {
  $("invitation").textContent = `await lab.join("${picture.invitation}", name="…")`;
  $("count").textContent = `${picture.connected} of ${picture.learners} connected`;
  drawPlaces();
  drawStuck();
  drawVotes();
  drawCall();
  drawTimes();
}

function theme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
}

$("theme").addEventListener("click", theme);
$("lesson").addEventListener("change", () => drawCall());
$("place").addEventListener("change", () => { chosen = true; drawVotes(); });
$("show").addEventListener("click", () => ask(picture.votes[$("place").value].shown ? "hide" : "show", ...$("place").value.split(" ")));
$("remove").addEventListener("click", () => $("name").value && ask("remove", $("name").value));
$("say").addEventListener("click", () => ask("call", $("lesson").value, $("round").value));

const stream = new EventSource("/stream");
stream.addEventListener("picture", (event) => { picture = JSON.parse(event.data); if (lost) say(""); lost = false; draw(); });
stream.onerror = () => (lost = true) && say("the board does not answer; is its terminal still open?", true);
