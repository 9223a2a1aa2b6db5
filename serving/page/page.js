// The page: what is asked, what is shown, and where in its removal the text stands.

import { Problem, ask, token, useToken } from "./api.js";
import * as form from "./form.js";
import { explainTerms } from "./glossary.js";
import * as address from "./address.js";
import { Panel, head } from "./panel.js";
import { showTooltips } from "./tooltips.js";
import { asked as askedOf, count, gone, left, steps } from "./view.js";

const $ = (id) => document.getElementById(id);
const WHOLE = { side: "important", k: 0 };

const page = {
  models: [],
  limits: null,
  panels: [],
  asked: null, // the text and the settings that the panels answer
  view: WHOLE,
  looked: null, // the view under the pointer, which goes before the other
  hands: new Map(), // predictions without the words removed by hand: panel -> (text left -> prediction)
  question: null, // aborts what is under way
  retry: null, // what "Try again" and a token do
  example: false, // whether the worked example is shown, which the address does not tell
};

// --- telling

function tell(sentence, { wrong = false, busy = false } = {}) {
  $("status").textContent = sentence;
  $("status").classList.toggle("wrong", wrong);
  $("status").classList.toggle("busy", busy);
  $("again").hidden = true;
  $("copied").hidden = true;
}

/** Tells a failure, and offers what helps against it: a token, or another try. */
function fail(problem, retry) {
  const known = problem instanceof Problem;
  tell(known ? problem.message : `The page failed: ${problem}. Reload it.`, { wrong: true });
  page.retry = retry;
  $("entry").hidden = problem.kind !== "token";
  if (problem.kind === "token") $("token").focus();
  $("again").hidden = !["gone", "busy", "slow", "broken"].includes(problem.kind);
  if (!known) console.error(problem);
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    tell(`${what} copied.`);
  } catch {
    // no clipboard over plain HTTP, or it was denied: shown, selected, to be copied by hand
    tell(`${what}:`);
    $("copied").hidden = false;
    const field = $("copied").querySelector("textarea");
    field.value = text;
    field.focus();
    field.select();
  }
}

// --- asking

/** Asks which models are served, and lays the page out for them. */
async function meet() {
  const known = await ask("model");
  page.models = known.models;
  page.limits = known.limits;
  form.layOut(known, () => explain());
  $("cards").replaceChildren(
    ...known.models.map((model) => {
      const card = document.createElement("article");
      card.className = "card";
      card.append(...head(model, true));
      return card;
    }),
  );
  $("served").hidden = page.panels.length > 0;
}

const body = ({ text, text_pair, models, remove, ...settings }, model) => {
  const texts = [text_pair ? { text, text_pair } : text];
  return { texts, ...settings, ...(remove ? { remove } : {}), model };
};

/** Asks every chosen model for its explanation, and shows them.
 *
 * stay: without scrolling to them. anew: as a place in the browser's history. example: the worked one. */
async function explain(view = WHOLE, { stay = false, anew = true, example = false } = {}) {
  page.question?.abort();
  const { signal } = (page.question = new AbortController());
  const retry = () => explain(view, { stay, anew, example });
  try {
    waiting(true);
    if (!page.limits) await meet();
    const asked = form.question();
    tell("Explaining …", { busy: true });
    const options = { signal, seconds: page.limits.seconds + 5, told: (sentence) => tell(sentence, { busy: true }) };
    const answers = await Promise.allSettled(asked.models.map((id) => ask("explain", body(asked, id), options)));
    if (signal.aborted) return;
    const failed = answers.filter((answer) => answer.status === "rejected").map((answer) => answer.reason);
    // what stops them all is told once; what stops one is told in its panel
    if (failed.length === answers.length) throw failed[0];
    await refresh(answers);
    if (signal.aborted) return;
    page.example = example;
    show(asked, answers, view);
    if (anew && !example) write(true);
    $("entry").hidden = true;
    tell(page.panels.map((panel) => panel.summary()).join(". ") + ".");
    if (!stay) reveal();
  } catch (problem) {
    if (!signal.aborted) fail(problem, retry);
  } finally {
    if (page.question?.signal === signal) waiting(false);
  }
}

/** A champion that moved while the page stood open is named as what it is now. */
async function refresh(answers) {
  const versions = new Map(page.models.map((model) => [model.id, model.version]));
  const moved = answers.some(({ value }) => value && versions.get(value.model.id) !== value.model.version);
  if (!moved) return;
  const known = await ask("model");
  page.models = known.models;
  form.rename(known.models);
}

function show(asked, answers, view) {
  page.asked = asked;
  edited();
  $("worked").hidden = !page.example;
  page.hands.clear();
  page.looked = null;
  const before = page.panels;
  page.panels = asked.models.map((id) => {
    const about = page.models.find((model) => model.id === id);
    return before.find((panel) => panel.about === about) ?? new Panel(about, { toggle, look, choose, curl, taken });
  });
  // the same panels stay where they are, and keep what is open in them
  if (page.panels.some((panel, place) => panel !== before[place]) || page.panels.length !== before.length) {
    $("panels").replaceChildren(...page.panels.map((panel) => panel.element));
  }
  $("results").hidden = false;
  $("served").hidden = true;
  page.panels.forEach((panel, place) => {
    const { value, reason } = answers[place];
    if (value) panel.show(value);
    else panel.fail(reason.message);
  });
  const longest = Math.max(...answered().map((panel) => steps(panel.explanation)));
  $("slider").max = longest;
  const most = Math.max(...answered().map((panel) => panel.explanation.words.length));
  const hand = view.hand && new Set([...view.hand].filter((place) => place < most));
  if (!hand) choose({ side: view.side, k: Math.min(view.k, longest) });
  else choose(hand.size > 0 && hand.size < most ? { hand } : WHOLE);
}

/** Marks what is shown as old where the text in the form is another one. */
function edited() {
  const old = Boolean(page.asked) && !form.stands(page.asked);
  $("old").hidden = !old;
  $("results").classList.toggle("old", old);
}

/** Scrolls to the answer where little of it can be seen. */
function reveal() {
  if ($("results").getBoundingClientRect().top > 0.6 * innerHeight) $("results").scrollIntoView();
}

const answered = () => page.panels.filter((panel) => panel.explanation);

function waiting(busy) {
  $("results").setAttribute("aria-busy", String(busy));
  $("explain").setAttribute("aria-disabled", String(busy));
  $("explain").textContent = busy ? "Explaining …" : "Explain";
}

// --- removing

/** Where the text stands now; the controls and the address follow. */
function choose(view, said = "") {
  page.view = view;
  page.looked = null;
  render();
  if (view.hand) predictHand(said);
  remember();
}

function look(view) {
  page.looked = view;
  render();
}

/** Another label of a panel is shown: the text stays where it stands. */
const taken = () => choose(page.view);

/** A word of a panel was clicked: it goes, or comes back, in all of them. */
function toggle(panel, place) {
  const hand = gone(panel.explanation, page.view);
  const word = panel.explanation.words[place].word;
  const back = hand.delete(place);
  if (!back) hand.add(place);
  if (hand.size === panel.explanation.words.length) {
    tell(`“${word}” is the last word; one always remains. Restore another first.`, { wrong: true });
    return;
  }
  choose({ hand }, `“${word}” ${back ? "restored" : "removed"}`);
}

/** Asks for the predictions that a removal by hand needs, and tells them after what is said of it. */
async function predictHand(said) {
  const { view, question } = page;
  let moved = false;
  try {
    await Promise.all(
      answered().map(async (panel) => {
        const texts = left(panel.explanation, gone(panel.explanation, view));
        if (hand(panel, texts) || !askedOf(texts)) return;
        const options = { signal: question.signal, seconds: page.limits.seconds + 5 };
        const found = await ask("predict", { texts: [askedOf(texts)], model: panel.about.id }, options);
        remembered(panel).set(JSON.stringify(texts), found.predictions[0]);
        moved ||= found.model.version !== panel.about.version;
      }),
    );
  } catch (problem) {
    if (!question.signal.aborted && page.view === view) fail(problem, () => predictHand(said));
    return;
  }
  if (page.view !== view || question.signal.aborted) return;
  $("entry").hidden = true;
  render();
  const now = answered().map((panel) => panel.say(view, shownHand(panel, view)));
  const stale = moved && "The answer is of another version of the model than its curves: explain the text again";
  tell([said, ...now, stale].filter(Boolean).join(". ") + ".");
}

function remembered(panel) {
  if (!page.hands.has(panel)) page.hands.set(panel, new Map());
  return page.hands.get(panel);
}

/** The prediction without the words removed by hand, as a step: the explained class's confidence, and the label. */
function hand(panel, texts) {
  const found = remembered(panel).get(JSON.stringify(texts));
  if (!found) return found;
  const { target, threshold } = panel.explanation;
  if (found.value !== undefined) return { label: target, confidence: found.value };
  const confidence = found.probabilities[target];
  // of several labels, the one explained is assigned or not
  return { label: threshold === undefined ? found.label : confidence >= threshold ? target : `not ${target}`, confidence };
}

const shownHand = (panel, view) => hand(panel, left(panel.explanation, gone(panel.explanation, view)));

function render() {
  const view = page.looked ?? page.view;
  for (const panel of answered()) panel.render(view, view.hand ? shownHand(panel, view) : null);
  const stands = page.view;
  if (!stands.hand) document.querySelector(`[name=side][value=${stands.side}]`).checked = true;
  $("slider").value = stands.hand ? 0 : stands.k;
  const removed = stands.hand ? `${stands.hand.size} by hand` : `${stands.k} of ${$("slider").max}`;
  $("removed").textContent = removed;
  const said = stands.hand ? `${count(stands.hand.size, "word")} removed by hand` : answered().map((p) => p.say(stands)).join(". ");
  $("slider").setAttribute("aria-valuetext", said);
  $("whole").disabled = stands.hand ? stands.hand.size === 0 : stands.k === 0;
}

const side = () => document.querySelector("[name=side]:checked").value;

// --- links

// Browsers allow an address to be changed some hundred times in half a minute; a dragged slider does it more often.
let later = 0;
function remember() {
  clearTimeout(later);
  later = setTimeout(write, 150);
}

function write(anew = false) {
  clearTimeout(later);
  const { asked, view } = page;
  if (!asked || (page.example && !anew)) return;
  address.write({
    text: asked.text,
    text_pair: asked.text_pair,
    remove: asked.remove,
    saliency: asked.saliency ?? "",
    order: asked.order,
    target: asked.target ?? "",
    controls: asked.controls ? "chance" : "",
    steps: asked.max_steps,
    model: asked.models,
    side: view.side ?? "",
    k: view.k ?? "",
    out: view.hand ? [...view.hand].join(".") : "",
  }, anew);
}

/** Shows what the address says; the worked example where it says nothing. */
function follow() {
  clearTimeout(later);
  const said = address.read();
  if (!said.text) {
    form.takeExample();
    explain(WHOLE, { stay: true, example: true });
    return;
  }
  form.fill(said);
  const out = said.out.split(".").filter((place) => /^\d+$/.test(place)).map(Number);
  const k = /^\d+$/.test(said.k) ? Number(said.k) : 0;
  const side = said.side === "unimportant" ? "unimportant" : "important";
  explain(said.out ? { hand: new Set(out) } : { side, k }, { anew: false });
}

/** The request of a panel as a command. The token is named, not shown. */
function curl(panel) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl", `${location.origin}/explain`, "-H 'Content-Type: application/json'"];
  if (token()) parts.push('-H "Authorization: Bearer $PCT_TOKEN"');
  parts.push("-d", quoted(JSON.stringify(body(page.asked, panel.about.id))));
  copy(parts.join(" "), "The command");
}

// --- the controls

form.listen(
  () => explain(),
  () => {
    // the same text, asked otherwise, stays where it was in its removal
    if (page.asked && form.stands(page.asked)) explain(page.view.hand ? WHOLE : page.view, { stay: true });
  },
  edited,
);
$("slider").addEventListener("input", () => choose({ side: side(), k: Number($("slider").value) }));
for (const radio of document.querySelectorAll("[name=side]")) {
  radio.addEventListener("change", () => choose({ side: side(), k: page.view.k ?? 0 }));
}
$("whole").addEventListener("click", () => {
  choose({ side: side(), k: 0 });
  $("slider").focus(); // the button is disabled now, and a disabled button loses the focus to nowhere
});
$("link").addEventListener("click", () => {
  if (!page.asked) return tell("There is no explanation to link to. Explain a text first.", { wrong: true });
  write(page.example);
  page.example = false;
  copy(location.href, "The link");
});
$("again").addEventListener("click", () => page.retry?.());
$("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    useToken($("token").value.trim());
  } catch (problem) {
    fail(problem, page.retry);
    return;
  }
  $("token").value = "";
  $("entry").hidden = true;
  page.retry?.();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says what is shown, and nothing else
  $($("results").hidden ? "text" : "results").focus();
});
addEventListener("popstate", follow);

async function begin() {
  try {
    await meet();
    if ($("status").classList.contains("wrong")) tell("");
  } catch (problem) {
    fail(problem, begin);
    return;
  }
  follow();
}

explainTerms($("glossary"));
showTooltips();
begin();
