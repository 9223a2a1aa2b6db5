// The meaning of a term, shown while the pointer or the focus is on it. Fixed to the window, so that no box cuts it.

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true"); // the term's own label says the same

function show(event) {
  const term = event.target.closest?.("[data-tip]");
  if (!term) return hide();
  tip.textContent = term.dataset.tip;
  tip.hidden = false;
  const [at, size] = [term.getBoundingClientRect(), tip.getBoundingClientRect()];
  const left = Math.min(Math.max(at.left, 8), document.documentElement.clientWidth - size.width - 8);
  const top = at.top > size.height + 8 ? at.top - size.height - 6 : at.bottom + 6;
  tip.style.left = `${left}px`;
  tip.style.top = `${top}px`;
}

function hide() {
  tip.hidden = true;
}

/** Begins to show tips on the whole page. */
export function showTips() {
  document.body.append(tip);
  for (const name of ["pointerover", "focusin", "click"]) document.addEventListener(name, show);
  for (const name of ["focusout", "scroll"]) document.addEventListener(name, hide, true);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}
