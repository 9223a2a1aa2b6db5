// Both reduction curves of a text as one SVG: the confidence after 0, 1, 2, .. removals on each side.
//
// Each curve is a slider to the keyboard and to screen readers: the arrow keys go from step to step.

import { SIDES, change, count, number, quantity, scale, stepAt, steps } from "./view.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 230;
const EDGE = { left: 38, right: 14, top: 12, bottom: 40 };
const MARKERS = 40; // more steps than this are drawn as lines alone
let charts = 0;

export class Curves {
  /** look(view or null): the pointer is over a step, or left. choose(view): a step was clicked or reached by key. */
  constructor(host, look, choose) {
    Object.assign(this, { host, look, choose, id: `hatch-${charts++}`, explanation: null, view: null });
    new ResizeObserver(() => this.explanation && this.#paint()).observe(host);
  }

  draw(explanation) {
    this.explanation = explanation;
    this.view = null;
    this.#paint();
  }

  /** Shows where a view stands. hand: [words removed, confidence] of a removal by hand, where it is known. */
  mark(view, hand) {
    this.view = view;
    this.hand = hand;
    if (!this.svg) return;
    const { explanation } = this;
    const k = view.hand ? view.hand.size : Math.min(view.k, explanation[view.side].steps.length);
    place(this.line, { x1: this.x(k), x2: this.x(k), visibility: k > 0 && !view.hand ? "visible" : "hidden" });
    const inside = hand && hand[0] > 0 && hand[0] <= steps(explanation);
    place(this.diamond, {
      transform: inside ? `translate(${this.x(hand[0])} ${this.y(hand[1])})` : "",
      visibility: inside ? "visible" : "hidden",
    });
    for (const side of Object.keys(SIDES)) {
      const at = view.hand ? 0 : Math.min(view.k, explanation[side].steps.length);
      const step = stepAt(explanation, side, at);
      const { curve, ring } = this.sides[side];
      place(ring, { cx: this.x(at), cy: this.y(step.confidence), visibility: at > 0 ? "visible" : "hidden" });
      curve.classList.toggle("shown", !view.hand && view.side === side && at > 0);
      curve.setAttribute("aria-valuenow", String(at));
      curve.setAttribute("aria-valuetext", spoken(explanation, side, at));
    }
  }

  #paint() {
    const { explanation } = this;
    const width = Math.max(this.host.clientWidth, 220);
    const last = Math.max(steps(explanation), 1);
    this.x = (k) => EDGE.left + (k / last) * (width - EDGE.left - EDGE.right);
    const [low, high] = scale(explanation);
    this.y = (confidence) => EDGE.top + ((high - confidence) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
    const focused = this.svg?.contains(document.activeElement) ? document.activeElement.dataset.side : "";
    const svg = make("svg", {
      class: "plot", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "group",
      "aria-label": `${upper(quantity(explanation))} as words are removed`,
    });
    svg.append(hatching(this.id), this.#axes(width, last), this.#gap());
    this.line = make("line", { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom });
    svg.append(this.line);
    this.sides = {};
    for (const side of Object.keys(SIDES)) {
      this.sides[side] = this.#curve(side);
      svg.append(this.sides[side].curve);
    }
    this.diamond = make("path", { class: "diamond", d: "M0 -7 L7 0 L0 7 L-7 0 Z" });
    svg.append(this.diamond);
    this.#listen(svg);
    this.svg = svg;
    this.host.replaceChildren(svg);
    if (this.view) this.mark(this.view, this.hand);
    if (focused) this.sides[focused].curve.focus();
  }

  #axes(width, last) {
    const axes = make("g", { class: "axes", "aria-hidden": "true" });
    const [low, high] = scale(this.explanation);
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const level = low + share * (high - low);
      const y = this.y(level);
      axes.append(make("line", { x1: EDGE.left, x2: width - EDGE.right, y1: y, y2: y }));
      axes.append(label(String(Number(level.toPrecision(3))), { x: EDGE.left - 6, y: y + 4, "text-anchor": "end" }));
    }
    const room = Math.max(1, Math.floor((width - EDGE.left - EDGE.right) / 26));
    const every = [1, 2, 5, 10, 20, 50, 100].find((n) => last / n <= room) ?? 200;
    for (let k = 0; k <= last; k += every) {
      axes.append(label(String(k), { x: this.x(k), y: HEIGHT - EDGE.bottom + 16, "text-anchor": "middle" }));
    }
    const middle = (EDGE.left + width - EDGE.right) / 2;
    axes.append(label("words removed", { x: middle, y: HEIGHT - 6, "text-anchor": "middle" }));
    return axes;
  }

  // What lies between the curves: hatched where the least salient words cost more, which is the pathology.
  #gap() {
    const between = make("g", { "aria-hidden": "true" });
    for (const { wrong, points } of runs(this.explanation)) {
      const there = points.map(([k, high]) => `${this.x(k)} ${this.y(high)}`);
      const back = points.toReversed().map(([k, , low]) => `${this.x(k)} ${this.y(low)}`);
      const d = `M${[...there, ...back].join(" L")} Z`;
      between.append(make("path", { class: wrong ? "gap wrong" : "gap", d, fill: wrong ? `url(#${this.id})` : "" }));
    }
    return between;
  }

  #curve(side) {
    const { explanation } = this;
    const found = explanation[side].steps;
    const curve = make("g", {
      class: `curve ${side}`, role: "slider", tabindex: "0", "data-side": side,
      "aria-label": `Words removed, ${SIDES[side]}`, "aria-valuemin": "0", "aria-valuemax": String(found.length),
    });
    const points = [explanation.target_confidence, ...found.map((step) => step.confidence)];
    const path = points.map((confidence, k) => `${this.x(k)} ${this.y(confidence)}`).join(" L");
    curve.append(make("path", { class: "line", d: `M${path}` }));
    if (points.length <= MARKERS) {
      points.forEach((confidence, k) => {
        const [x, y] = [this.x(k), this.y(confidence)];
        const point = side === "important"
          ? make("circle", { class: "point", cx: x, cy: y, r: 3.5 })
          : make("rect", { class: "point", x: x - 3.25, y: y - 3.25, width: 6.5, height: 6.5 });
        curve.append(point);
      });
    }
    const flip = explanation[side].flips_at;
    if (flip && flip <= found.length) {
      // a cross says where the prediction changes, so that colour alone does not
      const [x, y] = [this.x(flip), this.y(points[flip])];
      const cross = make("path", { class: "flip", d: `M${x - 7} ${y - 7} L${x + 7} ${y + 7} M${x - 7} ${y + 7} L${x + 7} ${y - 7}` });
      const title = make("title", {});
      title.textContent = `the prediction changes to ${found[flip - 1].label}`;
      cross.append(title);
      curve.append(cross);
    }
    const ring = make("circle", { class: "ring", r: 8 });
    curve.append(ring);
    return { curve, ring };
  }

  #listen(svg) {
    svg.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse") this.look(this.#under(event));
      else this.choose(this.#under(event)); // a finger that is drawn along the curves
    });
    svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.look(null));
    svg.addEventListener("click", (event) => this.choose(this.#under(event)));
    svg.addEventListener("keydown", (event) => {
      const side = event.target.closest(".curve")?.dataset.side;
      if (!side || event.altKey || event.ctrlKey || event.metaKey) return;
      const last = this.explanation[side].steps.length;
      const k = !this.view.hand && this.view.side === side ? Math.min(this.view.k, last) : 0;
      const moves = {
        ArrowRight: k + 1, ArrowUp: k + 1, ArrowLeft: k - 1, ArrowDown: k - 1,
        PageUp: k + 5, PageDown: k - 5, Home: 0, End: last,
      };
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.choose({ side, k: Math.min(Math.max(moves[event.key], 0), last) });
    });
  }

  /** The view that the pointer means: the nearest step, on the nearer curve. */
  #under(event) {
    const box = this.svg.getBoundingClientRect();
    const last = steps(this.explanation);
    const share = (event.clientX - box.left - EDGE.left) / (box.width - EDGE.left - EDGE.right);
    const k = Math.min(Math.max(Math.round(share * last), 0), last);
    const distance = (side) =>
      Math.abs(event.clientY - box.top - this.y(stepAt(this.explanation, side, k).confidence));
    return { side: distance("important") <= distance("unimportant") ? "important" : "unimportant", k };
  }
}

/** Stretches over which one curve lies over the other: [k, upper, lower] each; wrong: the important one is the upper. */
export function runs(explanation) {
  const n = Math.min(explanation.important.steps.length, explanation.unimportant.steps.length);
  const points = []; // [k, important, unimportant], crossings included
  for (let k = 0; k <= n; k++) {
    const here = [k, stepAt(explanation, "important", k).confidence, stepAt(explanation, "unimportant", k).confidence];
    if (k > 0) {
      const [, a, b] = points.at(-1);
      const [before, after] = [a - b, here[1] - here[2]];
      if (before * after < 0) {
        const share = before / (before - after);
        const confidence = a + share * (here[1] - a);
        points.push([k - 1 + share, confidence, confidence]);
      }
    }
    points.push(here);
  }
  const found = [];
  for (let i = 1; i < points.length; i++) {
    const ends = [points[i - 1], points[i]];
    const wrong = ends.some(([, a, b]) => a > b);
    if (found.at(-1)?.wrong !== wrong) found.push({ wrong, points: [ends[0]] });
    found.at(-1).points.push(ends[1]);
  }
  return found.map((run) => ({ ...run, points: run.points.map(([k, a, b]) => [k, Math.max(a, b), Math.min(a, b)]) }));
}

export const upper = (text) => text[0].toUpperCase() + text.slice(1);

/** A step in words. */
export function spoken(explanation, side, k) {
  const step = stepAt(explanation, side, k);
  const named = explanation.value === undefined ? `${step.label}, ${quantity(explanation)}` : quantity(explanation);
  if (k === 0) return `whole text: ${named} ${number(step.confidence)}`;
  const fall = change(step.confidence - explanation.target_confidence);
  const flip = explanation[side].flips_at === k ? "; the prediction changes" : "";
  return (
    `${count(k, "word")} removed, the last one “${step.word}”: ${named} ${number(step.confidence)} (${fall})${flip}`
  );
}

/** The same numbers as an HTML table. */
export function table(explanation) {
  const sheet = document.createElement("table");
  const head = sheet.createTHead();
  const over = head.insertRow();
  cell(over, "td", "");
  for (const name of Object.values(SIDES)) cell(over, "th", name, { colSpan: 3, scope: "colgroup" });
  const row = head.insertRow();
  cell(row, "th", "removed", { scope: "col" });
  const names = ["word", explanation.value === undefined ? "confidence" : "number", "label"];
  for (const name of [...names, ...names]) cell(row, "th", name, { scope: "col" });
  const body = sheet.createTBody();
  for (let k = 0; k <= steps(explanation); k++) {
    const line = body.insertRow();
    cell(line, "th", String(k), { scope: "row" });
    for (const side of Object.keys(SIDES)) {
      const step = stepAt(explanation, side, k);
      const flip = k > 0 && explanation[side].flips_at === k;
      for (const text of [step.word ?? "(none)", number(step.confidence), step.label]) {
        cell(line, "td", text, { className: flip ? "flipped" : "" });
      }
    }
  }
  return sheet;
}

function cell(row, kind, text, more = {}) {
  const made = document.createElement(kind);
  Object.assign(made, more);
  made.textContent = text;
  row.append(made);
}

function hatching(id) {
  const pattern = make("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(make("rect", { class: "hatch-ground", width: 6, height: 6 }), make("rect", { class: "hatch", width: 2, height: 6 }));
  const defs = make("defs", {});
  defs.append(pattern);
  return defs;
}

function label(text, attributes) {
  const made = make("text", attributes);
  made.textContent = text;
  return made;
}

function make(kind, attributes) {
  return place(document.createElementNS(SVG, kind), attributes);
}

function place(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}
