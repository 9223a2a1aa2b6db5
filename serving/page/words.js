// A text's words, shaded by saliency; each can be removed and restored.

import { number, sides } from "./view.js";

/** 0..1 a word: how strongly it is shaded; signed: below 0 where it is evidence against the class. */
export function shades(scores, signed) {
  const sizes = scores.map(Math.abs);
  const most = Math.max(...sizes);
  if (signed) return scores.map((x) => (most > 0 ? x / most : 0));
  const least = Math.min(...sizes);
  return sizes.map((x) => (most > least ? (x - least) / (most - least) : 0));
}

/** 1 for the word that goes first when the most salient go first; ties by position, as the service breaks them. */
export function ranks(scores) {
  const order = scores.map((_, place) => place).sort((a, b) => scores[b] - scores[a] || a - b);
  const found = new Array(scores.length);
  order.forEach((place, rank) => (found[place] = rank + 1));
  return found;
}

export class Words {
  /** toggle(place): a word was clicked, or chosen by Enter or Space. */
  constructor(host, toggle) {
    this.host = host;
    this.toggle = toggle;
    this.marks = [];
    this.current = 0;
    host.addEventListener("click", (event) => this.#chosen(event));
    host.addEventListener("focusin", (event) => this.#focusable(Number(event.target.dataset.place)));
    host.addEventListener("keydown", (event) => this.#key(event));
  }

  draw(explanation, signed) {
    const scores = explanation.words.map((word) => word.saliency);
    const strength = shades(scores, signed);
    const rank = ranks(scores);
    this.marks = explanation.words.map((word, place) => {
      // a span, not a button: buttons are laid out as boxes, which puts the words of right-to-left text out of order
      const mark = document.createElement("span");
      mark.className = "word";
      mark.classList.toggle("against", strength[place] < 0);
      mark.classList.toggle("unknown", !word.known);
      mark.setAttribute("role", "button");
      mark.dataset.place = place;
      mark.style.setProperty("--shade", Math.abs(strength[place]).toFixed(3));
      mark.textContent = word.word;
      const strange = word.known ? "" : ", unknown to the model";
      mark.title = `saliency ${score(word.saliency)}, rank ${rank[place]} of ${scores.length}${strange}`;
      return mark;
    });
    const texts = sides(explanation);
    this.host.replaceChildren(...texts.flatMap((side) => this.#text(explanation, side, texts.length > 1)));
    this.#focusable(0);
  }

  /** The parts of a text; of a pair in a block of its own, under its name. */
  #text(explanation, { key, text, places }, named) {
    // offsets count code points, and JavaScript's strings do not
    const letters = Array.from(text);
    const between = (start, end) => document.createTextNode(letters.slice(start, end).join(""));
    const parts = [];
    let end = 0;
    for (const place of places) {
      const word = explanation.words[place];
      parts.push(between(end, word.start), this.marks[place]);
      end = word.end;
    }
    const rest = document.createElement("span");
    rest.className = places.length > 0 ? "unseen" : "";
    rest.append(between(end, letters.length));
    if (!named) return [...parts, rest];
    const [block, name] = [document.createElement("div"), document.createElement("span")];
    block.className = "side";
    block.dir = "auto";
    name.className = "quiet side-name";
    name.textContent = key;
    block.append(name, " ", ...parts, rest);
    return [block];
  }

  /** Strikes the removed words out. */
  mark(removed) {
    this.marks.forEach((mark, place) => {
      mark.classList.toggle("gone", removed.has(place));
      mark.setAttribute("aria-pressed", String(removed.has(place)));
      mark.setAttribute("aria-label", `${mark.textContent}, ${removed.has(place) ? "removed, " : ""}${mark.title}`);
    });
  }

  #chosen(event) {
    const mark = event.target.closest(".word");
    if (!mark) return;
    this.#focusable(Number(mark.dataset.place));
    this.toggle(this.current);
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const back = getComputedStyle(this.host).direction === "rtl" ? 1 : -1;
    const moves = {
      ArrowLeft: this.current + back,
      ArrowRight: this.current - back,
      ArrowUp: this.current - 1,
      ArrowDown: this.current + 1,
      Home: 0,
      End: this.marks.length - 1,
    };
    if (event.key in moves) {
      this.#focusable(Math.min(Math.max(moves[event.key], 0), this.marks.length - 1));
      this.marks[this.current].focus();
    } else if (event.key === "Enter" || event.key === " ") {
      this.toggle(this.current);
    } else {
      return;
    }
    event.preventDefault();
  }

  // one stop of the Tab key for the whole text; the arrow keys go from word to word
  #focusable(place) {
    this.current = place;
    this.marks.forEach((mark, other) => (mark.tabIndex = other === place ? 0 : -1));
  }
}

/** Saliencies differ by orders of magnitude between models. */
export function score(x) {
  return x !== 0 && Math.abs(x) < 0.001 ? x.toExponential(1).replaceAll("-", "−") : number(x);
}
