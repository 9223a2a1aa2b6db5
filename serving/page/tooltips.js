// The meaning of a term, shown while the pointer or the focus is on it. Fixed to the window, so that no box cuts it.

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true"); // the term is described by the glossary, which says the same

let term = null;

const termOf = (event) => event.target.closest?.("[data-tip]") ?? null;

function show(event) {
  if (!termOf(event)) return;
  term = termOf(event);
  tip.textContent = term.dataset.tip;
  tip.hidden = false;
  place();
}

function place() {
  if (!term) return;
  const [at, size] = [term.getBoundingClientRect(), tip.getBoundingClientRect()];
  const left = Math.min(Math.max(at.left, 8), document.documentElement.clientWidth - size.width - 8);
  const top = at.top > size.height + 8 ? at.top - size.height - 6 : at.bottom + 6;
  tip.style.left = `${left}px`;
  tip.style.top = `${top}px`;
}

function hide(event) {
  if (event && termOf(event) !== term) return; // the pointer moves elsewhere while the focus is on the term
  term = null;
  tip.hidden = true;
}

/** Begins to show tips on the whole page. */
export function showTooltips() {
  document.body.append(tip);
  for (const name of ["pointerover", "focusin", "click"]) document.addEventListener(name, show);
  for (const name of ["pointerout", "focusout"]) document.addEventListener(name, hide);
  document.addEventListener("scroll", place, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}
