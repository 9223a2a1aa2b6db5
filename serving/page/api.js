// The service's three calls. Whatever goes wrong becomes a Problem: a kind, and a sentence that says what to do.

const TOKEN = "pct-token";
const RETRIES = 3;
let memory = ""; // where the browser forbids sessionStorage, the token lives as long as the page

export class Problem extends Error {
  /** kind: token (401), busy (503), slow, gone (no answer at all), refused (other 4xx), broken (what is no answer). */
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

/** Keeps the token for this tab. Throws a Problem for what no header can carry. */
export function useToken(token) {
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new Problem("token", "A token has letters, digits and signs, and no spaces; this one has others.");
  }
  memory = token;
  try {
    sessionStorage.setItem(TOKEN, token);
  } catch {
    // kept in memory
  }
}

export function token() {
  try {
    return sessionStorage.getItem(TOKEN) ?? memory;
  } catch {
    return memory;
  }
}

/** GET, or POST where there is a body. seconds: how long to wait. told(sentence): called while a busy server is retried. */
export async function ask(path, body, { signal, seconds = 30, told = () => {} } = {}) {
  for (let tries = 0; ; tries++) {
    const answer = await send(path, body, signal, seconds);
    if (answer.status !== 503 || tries === RETRIES) return read(answer);
    const wait = Math.min(Number(answer.headers.get("retry-after")) || 2 ** tries, 10);
    told(`The server is busy. Trying again in ${wait} s (${tries + 1} of ${RETRIES}).`);
    await pause(wait, signal);
  }
}

async function send(path, body, signal, seconds) {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (token()) headers.Authorization = `Bearer ${token()}`;
  const late = AbortSignal.timeout(seconds * 1000);
  try {
    return await fetch(path, {
      method: body ? "POST" : "GET",
      headers,
      body: body && JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, late]) : late,
      cache: "no-store",
    });
  } catch (failure) {
    if (signal?.aborted) throw failure; // another question took this one's place
    if (late.aborted) throw slow(seconds);
    throw new Problem(
      "gone",
      `The server at ${location.origin} does not answer. If pct serve was stopped, start it; then try again.`,
    );
  }
}

async function read(answer) {
  let body = null;
  try {
    body = await answer.json();
  } catch {
    // reported below
  }
  if (answer.ok && body !== null) return body;
  const reason = sentence(body?.error);
  if (answer.status === 401) {
    throw new Problem("token", token() ? "The server refuses this token. Enter another." : "This server asks for a token.");
  }
  if (answer.status === 503) {
    throw new Problem("busy", `${reason || "The server is busy."} The page tried ${RETRIES + 1} times; try again later.`);
  }
  if (answer.status === 408) throw new Problem("slow", reason || "The server took too long. Shorten the text.");
  if (answer.status >= 400 && answer.status < 500) {
    throw new Problem("refused", reason || `The server refused the request (status ${answer.status}).`);
  }
  throw new Problem(
    "broken",
    reason || `The server failed (status ${answer.status}) without a reason; see its log. Try again.`,
  );
}

function slow(seconds) {
  return new Problem("slow", `No answer within ${seconds} seconds. Shorten the text, or ask for fewer removals.`);
}

/** A message of the service with a capital and a full stop. */
function sentence(message) {
  if (typeof message !== "string" || !message.trim()) return "";
  const text = message.trim();
  return text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
