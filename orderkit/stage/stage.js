"use strict";
// Draws each picture that the stage sends; buttons and keys ask the stage, and change nothing here.
const LANES = ["receive", "validate", "review", "charge", "prepare", "dispatch", "shipped", "stopped"];
const STATES = ["up", "slow", "down", "declining"];
const SERVICES = { payments: ["payment provider", "m"], carrier: ["carrier", "c"] };
const KILLS = { worker: "w", api: "a", temporal: "t", postgres: "p" };
const MOST_CARDS = 36, FEW = 3, SOME = 6;
const $ = (id) => document.getElementById(id);
let picture = null, drawnAt = 0, deathsShown = [], endShown = 0;

history.replaceState(null, "", location.pathname); // the token is in a cookie now, and on no beamer

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function say(text, death = false) {
  if ($("said").textContent !== text) $("said").textContent = text; // a screen reader reads each change
  $("said").classList.toggle("death", death);
}

async function ask(path) {
  try {
    const answer = await fetch(path, { method: "POST" });
    const { said } = await answer.json();
    if (!deathsShown.length || !answer.ok) say(said);
  } catch {
    say("the stage does not answer; is its terminal still open?");
  }
}

function marks(card) {
  return card.steps.map(({ step, tries, marks }, number) => {
    const signs = marks.map((mark) => make("span", { className: `mark ${mark}`, title: mark, textContent: picture.signs[mark] }));
    const newest = number === card.steps.length - 1 ? "marks newest" : "marks";
    return make("div", { className: newest }, make("span", { className: "step", textContent: tries > 6 ? `${step} ×${tries}` : step }), ...signs);
  });
}

function drawCard(card) {
  const dead = !card.closed && card.steps.some(({ marks }) => marks.at(-1) === "lost");
  const element = make("div", { className: dead ? "card dead" : "card", title: card.why });
  element.dataset.order = card.id;
  const seconds = make("span", { className: "sec" });
  element.append(seconds, make("b", { textContent: card.id }), ...marks(card));
  if (card.lane === "stopped") element.append(make("div", { className: "marks", textContent: card.state.replace("_", " ") }));
  if (!card.closed) {
    const bar = make("i");
    element.append(make("div", { className: "left" }, bar));
    element.tick = (since) => {
      const left = Math.max(0, card.total - card.age - since);
      bar.style.width = `${(100 * left) / card.total}%`;
      seconds.textContent = `${Math.ceil(left)} s`;
    };
  } else seconds.textContent = `${card.age.toFixed(1)} s`;
  return element;
}

const byName = (one, other) => one.id.localeCompare(other.id, undefined, { numeric: true });

function drawBoard() {
  const lanes = LANES.map((name) => [name, picture.orders.filter((order) => order.lane === name)]);
  const open = Math.max(...lanes.map(([name, cards]) => (name === "shipped" ? Math.min(cards.length, FEW + 1) : cards.length)));
  $("board").className = open <= FEW ? "few" : "some";
  $("board").style.gridTemplateColumns = lanes.map(([, cards]) => `minmax(0, ${cards.length > 10 ? 3 : cards.length ? 1.5 : 1}fr)`).join(" ");
  $("board").replaceChildren(...lanes.map(([name, cards]) => {
    const shown = cards.slice(-MOST_CARDS).sort(byName); // those that began together come in another order each time
    const head = make("h2", {}, make("span", { textContent: name }), make("span", { textContent: cards.length || "" }));
    const lane = make("section", { className: cards.length > SOME ? "lane many" : "lane" }, head, make("div", { className: "cards" }, ...shown.map(drawCard)));
    lane.dataset.lane = name;
    return lane;
  }));
  tick();
}

function drawPrograms() {
  const tiles = picture.programs.map(({ name, state, pid, died }) => {
    const kind = name.split("-")[0];
    const sign = died ? `☠ ${died} →` : state === "running" ? "✔" : "…";
    const where = make("span", {}, name, make("small", { textContent: `${sign} ${pid ? `pid ${pid}` : state}` }));
    const kill = make("button", { type: "button", onclick: () => ask(`/kill/${kind}`) }, "kill ", make("kbd", { textContent: KILLS[kind] || "" }));
    kill.setAttribute("aria-label", `kill ${name}`);
    const tile = make("div", { className: died ? "program dead" : "program" }, where, ...(KILLS[kind] ? [kill] : []));
    tile.dataset.program = name;
    return [name, `${state} ${pid} ${died}`, tile];
  });
  for (const [name, now, tile] of tiles) {
    const old = document.querySelector(`[data-program="${name}"]`);
    tile.dataset.now = now;
    if (!old) $("programs").append(tile);
    else if (old.dataset.now !== now) {
      const focused = old.contains(document.activeElement);
      old.replaceWith(tile);
      if (focused) tile.querySelector("button").focus();
    }
  }
  const deaths = picture.programs.filter(({ died }) => died).map(({ name, died }) => `☠ ${name} (pid ${died}) died`);
  if (deaths.some((death) => !deathsShown.includes(death))) say(deaths.join(", "), true);
  else if (!deaths.length && !picture.trouble && $("said").classList.contains("death")) say("");
  deathsShown = deaths;
}

function drawSwitches() {
  for (const [service, [title, key]] of Object.entries(SERVICES)) {
    if (!$(service)) {
      const radios = STATES.map((state) => make("label", {}, make("input", {
        type: "radio", name: service, value: state, id: state === "up" ? service : "", onchange: () => ask(`/switch/${service}/${state}`),
      }), ` ${state}`));
      $("switches").append(make("fieldset", {}, make("legend", {}, `${title} `, make("kbd", { textContent: key })), ...radios));
    }
    document.querySelector(`input[name="${service}"][value="${picture.switches[service]}"]`).checked = true;
  }
}

function drawStory() {
  const story = picture.story;
  if (!story) return;
  $("title").textContent = story.number ? `${story.number}. ${story.title}` : story.title;
  $("cue").textContent = story.cue;
  Object.assign(document.body.dataset, { chapter: story.number, runs: story.runs });
  $("next").hidden = false;
  $("next").disabled = story.runs || story.number === story.of;
  const end = story.said && !story.runs ? story.number : 0;
  if (end && (end !== endShown || !deathsShown.length)) say(story.said); // a chapter's end is told over earlier deaths
  endShown = end;
}

function draw() {
  drawnAt = performance.now();
  drawBoard();
  drawPrograms();
  drawSwitches();
  drawStory();
  const verdict = picture.balanced === true ? " ✔" : picture.balanced === false ? " ✖" : "";
  $("balance").textContent = picture.balance + verdict;
  $("balance").className = picture.balanced === true ? "good" : picture.balanced === false ? "bad" : "";
  if (picture.trouble && !deathsShown.length) say(picture.trouble, true);
  if (!$("legend").childElementCount) $("legend").append(...Object.entries(picture.signs).map(([name, sign]) => make("span", {}, make("span", { className: `mark ${name}`, textContent: sign }), ` ${name.replace("_", " ")}`)));
}

function tick() {
  const since = (performance.now() - drawnAt) / 1000;
  for (const card of document.querySelectorAll(".card")) card.tick?.(since);
}

function cycle(service) {
  const state = STATES[(STATES.indexOf(picture.switches[service]) + 1) % STATES.length];
  ask(`/switch/${service}/${state}`);
}

function theme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
}

const full = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
const next = () => $("next").hidden || $("next").disabled || ask("/next");
const DO = { ArrowRight: next, PageDown: next, n: next, o: () => ask("/orders/1"), O: () => ask("/orders/30"), d: theme, f: full };
for (const [program, key] of Object.entries(KILLS)) DO[key] = () => ask(`/kill/${program}`);
for (const [service, [, key]] of Object.entries(SERVICES)) DO[key] = () => cycle(service);

document.addEventListener("keydown", (event) => {
  const inRadio = event.target.type === "radio" && event.key.startsWith("Arrow");
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || inRadio || !picture || !DO[event.key]) return;
  event.preventDefault();
  DO[event.key]();
});
for (const [id, act] of Object.entries({ next, one: DO.o, many: DO.O, theme, full })) $(id).addEventListener("click", act);
setInterval(tick, 250);

const stream = new EventSource("/stream");
stream.addEventListener("picture", (event) => { picture = JSON.parse(event.data); draw(); });
stream.onerror = () => say("the stage does not answer; is its terminal still open?", true);
