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
  const step = explanation[side].steps.slice(0, k).at(-1);
  // of a number no label is predicted: its name stands there
  if (step) return { ...step, label: step.label ?? explanation.label };
  return { confidence: explanation.target_confidence, label: explanation.label };
}

/** What the curves show: the confidence in a label, or a number by its name. */
export const quantity = (explanation) =>
  explanation.value === undefined ? `confidence in ${explanation.target}` : explanation.target;

/** The ends of an axis for the curves: 0 and 1, of a number the least and the largest that is shown. */
export function scale(explanation) {
  if (explanation.value === undefined) return [0, 1];
  const values = Object.keys(SIDES).flatMap((side) => explanation[side].steps.map((step) => step.confidence));
  const [low, high] = [Math.min(explanation.value, ...values), Math.max(explanation.value, ...values)];
  return low < high ? [low, high] : [low - 0.5, high + 0.5];
}

/** The text of an explanation, or the two texts of a pair: its key, and the places of its words. */
export function sides(explanation) {
  const keys = explanation.text_pair === undefined ? ["text"] : ["text", "text_pair"];
  return keys.map((key) => {
    const own = (place) => (explanation.words[place].text ?? "text") === key;
    return { key, text: explanation[key], places: [...explanation.words.keys()].filter(own) };
  });
}

/** The texts without some of the words that the model sees, by key; empty where no word is left. */
export function left(explanation, removed) {
  return Object.fromEntries(sides(explanation).map((side) => [side.key, leftOf(explanation, side, removed)]));
}

/** What the service is asked for these texts; null where a text has no word left. */
export function asked(texts) {
  if (Object.values(texts).some((text) => !text)) return null;
  return texts.text_pair === undefined ? texts.text : texts;
}

// as it was typed otherwise; what stood apart stays apart
function leftOf(explanation, side, removed) {
  const letters = Array.from(side.text); // offsets count Unicode characters
  if (side.places.length === 0) return side.text.trim(); // of a pair, the text whose words stay
  if (side.places.every((place) => removed.has(place))) return "";
  let [text, end] = ["", 0];
  side.places.forEach((place) => {
    const word = explanation.words[place];
    text += letters.slice(end, word.start).join("");
    end = word.end;
    if (!removed.has(place)) text += letters.slice(word.start, word.end).join("");
    else if (/\s$/.test(text) || text === "") end += letters[end]?.trim() === "" ? 1 : 0;
    else if (letters[end]?.trim()) text += " ";
  });
  return text.trim();
}

/** A confidence has three digits; a number that rounds to zero has no sign. */
export const number = (x) => x.toFixed(3).replace(/^-(?=0\.0*$)/, "").replace("-", "−");

export function change(x) {
  const size = Math.abs(x).toFixed(3);
  return size === "0.000" ? "0.000" : (x < 0 ? "−" : "+") + size;
}

export const count = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;
