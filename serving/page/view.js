// What is left of a text: whole, after k removals on a side, or without the words that were clicked away.
//
// A view is {side: "important" | "unimportant", k} or {hand: Set of word places}; k = 0 is the whole text.

export const SIDES = { important: "most salient first", unimportant: "least salient first" };

export const steps = (explanation) =>
  Math.max(explanation.important.steps.length, explanation.unimportant.steps.length);

/** The places of the words that a view removes from an explanation's text. */
export function gone(explanation, view) {
  const places = view.hand
    ? [...view.hand]
    : explanation[view.side].steps.slice(0, view.k).map((step) => step.removed);
  return new Set(places.filter((place) => place < explanation.words.length));
}

/** Confidence in the explained class and predicted label after k removals; k beyond the last step is the last step. */
export function stepAt(explanation, side, k) {
  const found = explanation[side].steps.slice(0, k).at(-1);
  return found ?? { confidence: explanation.target_confidence, label: explanation.label };
}

/** The words that are left, as the service is asked for them. */
export function left(explanation, removed) {
  return explanation.words.filter((_, place) => !removed.has(place)).map((word) => word.word).join(" ");
}

/** Three digits are what a confidence is worth; a change that rounds to nothing has no sign. */
export const number = (x) => x.toFixed(3).replace("-", "−");

export function change(x) {
  const size = Math.abs(x).toFixed(3);
  return size === "0.000" ? "0.000" : (x < 0 ? "−" : "+") + size;
}

export const count = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;
