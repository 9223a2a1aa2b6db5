// One model's answer: its prediction, its words, its curves, its verdict, its figures.

import { Curves, spoken, table, upper } from "./curves.js";
import { CONTROLS, FIGURES, METHODS, term } from "./glossary.js";
import { SIDES, asked, change, count, gone, left, number, quantity, scale, stepAt } from "./view.js";
import { Words, score } from "./words.js";

const VERDICTS = { pathological: "⚠ Pathological here", undecided: "Undecided here", healthy: "✓ Healthy here" };

export class Panel {
  /** actions: toggle(panel, place), look(view or null), choose(view), curl(panel), taken(): another label is shown. */
  constructor(about, actions) {
    this.about = about;
    this.explanation = null;
    this.element = document.getElementById("panel").content.firstElementChild.cloneNode(true);
    this.part = (name) => this.element.querySelector(`.${name}`);
    this.element.setAttribute("aria-label", titled(about));
    this.part("model").replaceChildren(...head(about));
    this.words = new Words(this.part("words"), (place) => actions.toggle(this, place));
    this.curves = new Curves(this.part("chart"), actions.look, actions.choose);
    this.part("curl").addEventListener("click", () => actions.curl(this));
    this.taken = actions.taken;
    this.part("table").addEventListener("toggle", () => this.#table());
  }

  /** An answer of /explain for one text, with the version that gave it; of several labels, one is shown at a time. */
  show(answer) {
    const several = answer.explanations.length > 1;
    this.part("explained").hidden = !several;
    this.part("explained").querySelectorAll("button").forEach((button) => button.remove());
    for (const one of several ? answer.explanations : []) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = one.target;
      button.addEventListener("click", () => {
        this.#show(one, answer);
        this.taken();
      });
      this.part("explained").append(button);
    }
    this.#show(answer.explanations[0], answer);
  }

  #show(explanation, answer) {
    this.explanation = explanation;
    for (const button of this.part("explained").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.textContent === explanation.target));
    }
    this.#visible(true);
    this.part("words").setAttribute(
      "aria-label",
      `Words shaded by ${answer.saliency} saliency; the arrow keys go from word to word, Enter removes or restores one`,
    );
    this.part("text").classList.toggle("signed", answer.signed);
    this.words.draw(explanation, answer.signed);
    this.#scale(explanation, answer);
    const { truncated } = explanation;
    this.part("cut").hidden = truncated === 0;
    this.part("cut").textContent =
      `Cut: the model reads at most ${this.about.max_length} tokens; it did not see ${count(truncated, "word")}.`;
    const strange = explanation.words.filter((word) => !word.known).map((word) => `“${word.word}”`);
    this.part("strange").hidden = strange.length === 0;
    this.part("strange").textContent =
      `Underlined with dots: unknown to the model, which treats ${strange.length === 1 ? "it" : "each of them"} like any ` +
      `word that it has not seen: ${[...new Set(strange)].join(", ")}.`;
    this.curves.draw(explanation);
    this.#verdict(explanation);
    this.#figures(explanation);
    this.#table();
  }

  /** This model alone has no answer. */
  fail(sentence) {
    this.explanation = null;
    this.#visible(false);
    this.part("problem").textContent = sentence;
  }

  /** Shows the text as a view leaves it. hand: the prediction without the words removed by hand, where it has come. */
  render(view, hand) {
    const { explanation } = this;
    if (!explanation) return;
    const removed = gone(explanation, view);
    const whole = removed.size === 0;
    const nothing = !asked(left(explanation, removed)); // of a text that this model sees less of than another
    const now = whole ? stepAt(explanation, "important", 0) : view.hand ? hand : stepAt(explanation, view.side, view.k);
    this.words.mark(removed);
    this.curves.mark(view, view.hand && now ? [removed.size, now.confidence] : null);
    this.part("hand").hidden = !view.hand || whole;
    this.part("answer").setAttribute("aria-busy", String(!now));
    this.#answer(now, whole, nothing);
    this.#step(view, removed, now);
  }

  #visible(answered) {
    for (const name of ["answer", "text", "curves", "step", "verdict"]) this.part(name).hidden = !answered;
    this.element.querySelector("footer").hidden = !answered;
    this.part("problem").hidden = answered;
  }

  #answer(now, whole, nothing) {
    const { target, target_confidence: before, label, assigned } = this.explanation;
    const labels = assigned ? `. Assigned labels: ${assigned.join(", ") || "none"}; any other under “Class explained”` : "";
    const [low, high] = scale(this.explanation);
    const share = (x) => ((x - low) / (high - low)).toFixed(4);
    this.part("label").textContent = now?.label ?? "…";
    this.part("label").classList.toggle("changed", Boolean(now) && now.label !== label);
    this.part("confidence").textContent = now ? number(now.confidence) : "";
    const side = now && now.label !== target ? ` for ${target}` : "";
    this.part("confidence").append(side);
    this.part("fill").style.setProperty("--share", share(now?.confidence ?? low));
    this.part("tick").style.setProperty("--share", share(before));
    const flipped = now && now.label !== label ? `The prediction changed from ${label}. ` : "";
    this.part("moved").textContent = !now
      ? nothing ? "No word that this model sees is left." : "The model has not answered yet."
      : whole
        ? quantity(this.explanation) + (target === label ? "" : `, the class explained; ${label} is predicted`) + labels
        : `${flipped}${upper(quantity(this.explanation))}: ${number(before)} before, ${change(now.confidence - before)}`;
  }

  #step(view, removed, now) {
    const { explanation } = this;
    const by = view.hand ? "by hand" : SIDES[view.side];
    this.part("step-title").textContent =
      removed.size === 0
        ? "The whole text"
        : `The text without ${count(removed.size, "word")}, ${by}` + (now ? `: ${now.label}, ${number(now.confidence)}` : "");
    this.part("step-text").textContent = Object.values(left(explanation, removed)).join("\n");
  }

  #scale(explanation, { saliency, signed, saliency_reason: reason }) {
    const scores = explanation.words.map((word) => word.saliency);
    const [low, high] = [Math.min(...scores), Math.max(...scores)];
    const { target } = explanation;
    const most = Math.max(...scores.map(Math.abs));
    this.part("low").textContent = signed ? `against ${target} ${score(-most)}` : score(low);
    this.part("high").textContent = signed ? `${most > 0 ? "+" : ""}${score(most)} for ${target}` : score(high);
    this.part("by").textContent = `Saliency ${saliency}: ${reason}.`;
  }

  #verdict({ verdict: { kind, reasons } }) {
    const verdict = this.part("verdict");
    for (const one of Object.keys(VERDICTS)) verdict.classList.toggle(one, one === kind);
    this.part("verdict-title").textContent = VERDICTS[kind];
    this.part("reasons").replaceChildren(
      ...reasons.map((reason) => {
        const line = document.createElement("li");
        line.textContent = reason;
        return line;
      }),
    );
  }

  #figures({ metrics, controls, important, unimportant }) {
    const flips = { ir: important.flips_at, ur: unimportant.flips_at };
    const names = [...Object.keys(FIGURES), ...(controls ? Object.keys(CONTROLS) : [])];
    this.part("measures").replaceChildren(
      ...names.flatMap((name) => {
        const value = metrics[name] ?? controls?.[name];
        if (value === null || value === undefined) return pair(term(name), "–");
        if (!(name in flips)) return pair(term(name), number(value));
        return pair(term(name), flips[name] === null ? `${value}, never` : String(value));
      }),
    );
  }

  // a table of 200 rows is made when it is looked at
  #table() {
    const details = this.part("table");
    const host = details.querySelector(".scroll");
    host.replaceChildren(...(details.open && this.explanation ? [table(this.explanation)] : []));
  }

  /** What a screen reader is told once the answer has come. */
  summary() {
    const { explanation: e } = this;
    if (!e) return `${this.about.method}: ${this.part("problem").textContent}`;
    return `${this.about.method}: ${e.label} ${number(e.value ?? e.confidence)}, ${this.part("verdict-title").textContent.replace(/^\W+/, "").toLowerCase()}`;
  }

  /** A view in words. */
  say(view, hand) {
    const { explanation: e } = this;
    if (!e) return "";
    if (!view.hand) return `${this.about.method}: ${spoken(e, view.side, Math.min(view.k, e[view.side].steps.length))}`;
    if (!hand) return "";
    const fall = change(hand.confidence - e.target_confidence);
    const named = e.value === undefined ? `${hand.label}, ${quantity(e)}` : quantity(e);
    return `${this.about.method}: ${named} ${number(hand.confidence)} (${fall})`;
  }
}

/** A model's name as the registry has it, or the folder's. */
export function called(about) {
  if (!about.name) return about.id;
  return about.name + (about.version ? `, version ${about.version}` : "") + (about.alias ? ` (@${about.alias})` : "");
}

/** The method, and which model it is where that says more. */
export const titled = (about) => (called(about) === about.method ? about.method : `${about.method}: ${called(about)}`);

/** A model in a few lines: method, name, what it is, what it measured. */
export function head(about, open = false) {
  const title = document.createElement("h2");
  const method = document.createElement("span");
  method.className = "method";
  method.textContent = about.method;
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = called(about);
  title.append(method);
  if (name.textContent !== about.method) title.append(" ", name);
  const trained = document.createElement("p");
  trained.className = "trained";
  trained.textContent = METHODS[about.method] ?? "";
  const line = document.createElement("p");
  line.className = "quiet";
  const corpus = about.corpus ? ` on ${about.corpus}` : "";
  line.textContent = `${about.architecture}${corpus}, ${about.weights}, explained by ${about.saliency}`;
  line.title = about.source;
  const parts = [title, audited(about), trained, line];
  const measured = Object.entries(about.metrics ?? {}).filter(([, value]) => typeof value === "number");
  if (measured.length > 0) {
    const details = document.createElement("details");
    details.open = open;
    const summary = document.createElement("summary");
    const { acc, comp, suff } = about.metrics;
    const gap = typeof comp === "number" && typeof suff === "number" ? `, comp − suff ${change(comp - suff)}` : "";
    summary.textContent = "On its test split" + (typeof acc === "number" ? `: accuracy ${number(acc)}${gap}` : "");
    const list = document.createElement("dl");
    list.className = "figures";
    list.append(...measured.flatMap(([key, value]) => pair(term(key), number(value))));
    details.append(summary, list);
    parts.push(details);
  }
  return parts;
}

/** What an audit of the model found, in a line. */
function audited({ audit }) {
  const line = document.createElement("p");
  line.className = "audited";
  if (!audit) {
    line.textContent = "Not audited: pct audit finds which explanation of this model can be trusted.";
    return line;
  }
  const spell = ([value, low, high]) => `${number(value)} [${number(low)}, ${number(high)}]`;
  line.classList.toggle("wrong", !audit.best);
  line.textContent = audit.best
    ? `Audited on ${count(audit.texts, "text")}: ${audit.best}, margin over a random order ${spell(audit.margin)}`
    : `Audited on ${count(audit.texts, "text")}: no saliency is better than a random order; its explanations should not be shown`;
  line.title = audit.verdict;
  return line;
}

function pair(name, value) {
  const box = document.createElement("div");
  const [key, text] = [document.createElement("dt"), document.createElement("dd")];
  key.append(name);
  text.textContent = value;
  box.append(key, text);
  return [box];
}
