// The page's address tells what it shows: the text and the settings stand behind the #, which no server is sent.

const NAMES = ["text", "text_pair", "saliency", "order", "remove", "target", "controls", "steps", "side", "k", "out"];

/** What the address says, as strings (models: a list of ids); empty where there is no text. */
export function read() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  if (!parameters.get("text")) return {};
  const values = Object.fromEntries(NAMES.map((name) => [name, parameters.get(name) ?? ""]));
  return { ...values, models: parameters.getAll("model") };
}

/** Writes it, as a place of its own to come back to, or over the present one. Empty values are left out; a list is
 * written as one value each. */
export function write(values, anew) {
  const pairs = Object.entries(values).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  const address = `#${new URLSearchParams(pairs.filter(([, value]) => value !== ""))}`;
  if (address === location.hash) return;
  history[anew ? "pushState" : "replaceState"](null, "", address);
}
