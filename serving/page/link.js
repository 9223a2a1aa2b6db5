// The page's address tells what it shows: the text and the settings stand behind the #, which no server is sent.

const NAMES = ["text", "saliency", "order", "target", "steps", "models", "side", "k", "out"];

/** What the address says, as strings; empty where there is no text. */
export function read() {
  const found = new URLSearchParams(location.hash.slice(1));
  return found.get("text") ? Object.fromEntries(NAMES.map((name) => [name, found.get(name) ?? ""])) : {};
}

/** Writes it. Empty values are left out. */
export function write(values) {
  const parts = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== ""));
  history.replaceState(null, "", `#${parts}`);
}
