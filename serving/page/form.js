// The form: which text, asked how, of which models.

import { Problem } from "./api.js";
import { examples, hint } from "./examples.js";
import { CONTROLS, SALIENCIES } from "./glossary.js";
import { titled } from "./panel.js";
import { count } from "./view.js";

const $ = (id) => document.getElementById(id);
const SHOWN_AT_FIRST = 2;
const SETTINGS = ["saliency", "order", "remove", "target", "controls", "steps", "models"];

let known = { models: [], limits: null };

/** Lays the form out for what GET /model answered; a text in it stays. explain(): an example was taken. */
export function layOut(answer, explain) {
  known = answer;
  for (const id of ["second", "whose"]) $(id).hidden = !known.models.some((model) => model.pairs);
  $("hint").firstChild.textContent = `${hint(known.models)} `;
  $("steps").max = known.limits.max_steps;
  $("steps").value = Math.min(Number($("steps").value) || 15, known.limits.max_steps);
  $("examples").replaceChildren(
    ...examples(known.models).map((text) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.addEventListener("click", () => {
        $("text").value = text;
        $("text_pair").value = "";
        measure();
        explain();
      });
      return button;
    }),
  );
  chooseModels();
  chooseShared();
  measure();
}

function chooseModels() {
  const boxes = known.models.map((model, place) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.name = "model";
    box.value = model.id;
    box.checked = place < SHOWN_AT_FIRST;
    label.append(box, titled(model));
    return label;
  });
  $("models").replaceChildren($("models").querySelector("legend"), ...boxes);
  $("models").hidden = known.models.length < 2;
}

/** Puts the first example into the form. */
export function takeExample() {
  $("text_pair").value = "";
  $("text").value = $("examples").querySelector("button").textContent;
  measure();
}

/** The same models, of other versions. */
export function rename(models) {
  known = { ...known, models };
  for (const box of document.querySelectorAll("[name=model]")) {
    box.nextSibling.textContent = titled(models.find((model) => model.id === box.value));
  }
  chooseShared();
}

/** The models to be asked. */
const chosen = () => {
  const ids = [...document.querySelectorAll("[name=model]:checked")].map((box) => box.value);
  return known.models.filter((model) => ids.includes(model.id));
};

/** Offers the labels that all chosen models have, and the saliencies that all of them give. */
function chooseShared() {
  offer("target", "labels", (label) => label);
  offer("saliency", "saliencies", (name) => (name in SALIENCIES ? `${name}: ${SALIENCIES[name]}` : name));
}

function offer(id, list, title) {
  const [first, ...others] = chosen();
  const shared = (first?.[list] ?? []).filter((one) => others.every((model) => model[list].includes(one)));
  const before = $(id).value;
  $(id).replaceChildren($(id).options[0], ...shared.map((one) => new Option(title(one), one)));
  $(id).value = shared.includes(before) ? before : "";
}

// what is no character becomes the sign for that, as the service makes it
const wellFormed = (field) => field.value.toWellFormed?.() ?? field.value;

/** The texts as they stand there: text, and text_pair, which is empty for a single text. */
export function typed() {
  const second = $("second").hidden ? "" : wellFormed($("text_pair"));
  return { text: wellFormed($("text")), text_pair: second.trim() ? second : "" };
}

/** Whether these are the texts that stand there. */
export const stands = ({ text, text_pair }) => typed().text === text && typed().text_pair === text_pair;

const characters = ({ text, text_pair }) => Array.from(text).length + Array.from(text_pair).length;

/** Counts the text, beside its limit. */
function measure() {
  const texts = typed();
  const words = `${texts.text} ${texts.text_pair}`.split(/\s+/).filter(Boolean).length;
  const limit = known.limits ? ` of ${known.limits.characters.toLocaleString("en")}` : "";
  const length = characters(texts);
  $("count").textContent = length ? `${count(words, "word")}, ${length.toLocaleString("en")}${limit} characters` : "";
  $("count").classList.toggle("wrong", Boolean(known.limits) && length > known.limits.characters);
}

/** What the form asks for. Throws a Problem for what no server need be asked. */
export function question() {
  const { text, text_pair } = typed();
  if (!text.trim()) throw new Problem("refused", "There is no text to explain. Type one, or choose an example.");
  const { characters: most, max_steps: most_steps } = known.limits;
  const length = characters({ text, text_pair });
  if (length > most) {
    throw new Problem(
      "refused",
      `The text has ${length.toLocaleString("en")} characters, and this server takes ${most.toLocaleString("en")}. Shorten it.`,
    );
  }
  const max_steps = Number($("steps").value);
  if (!Number.isInteger(max_steps) || max_steps < 1 || max_steps > most_steps) {
    throw new Problem("refused", `Most removals: a whole number from 1 to ${most_steps}, not “${$("steps").value}”.`);
  }
  if (chosen().length === 0) throw new Problem("refused", "No model is chosen. Choose at least one.");
  return {
    text,
    text_pair,
    max_steps,
    order: $("order").value,
    remove: text_pair ? $("remove").value : "",
    target: $("target").value || null,
    saliency: $("saliency").value || null,
    controls: $("controls").value ? Object.keys(CONTROLS) : false,
    models: chosen().map((model) => model.id),
  };
}

/** Puts what an address says into the form. An address can say anything: what the form cannot take stays as it is. */
export function fill(said) {
  $("text").value = said.text;
  $("text_pair").value = said.text_pair;
  for (const id of ["order", "remove", "controls"]) choose(id, said[id]);
  if (/^\d+$/.test(said.steps)) $("steps").value = said.steps;
  const boxes = [...document.querySelectorAll("[name=model]")];
  if (boxes.some((box) => said.models.includes(box.value))) {
    for (const box of boxes) box.checked = said.models.includes(box.value);
  }
  chooseShared();
  for (const id of ["target", "saliency"]) choose(id, said[id]);
  const usual = { saliency: "", order: "static", remove: "", target: "", controls: "", steps: "15" };
  $("settings").open ||= Object.entries(usual).some(([id, value]) => $(id).value !== value);
  measure();
}

function choose(id, value) {
  if ([...$(id).options].some((option) => option.value === value)) $(id).value = value;
}

/** explain(): the form is sent. again(): a setting changed. edited(): the text did. */
export function listen(explain, again, edited) {
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    explain();
  });
  for (const id of ["text", "text_pair"]) {
    $(id).addEventListener("input", () => {
      measure();
      edited();
    });
    $(id).addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
    });
  }
  for (const id of SETTINGS) {
    $(id).addEventListener("change", () => {
      if (id === "models") chooseShared();
      again();
    });
  }
}
