const form = document.querySelector("form");
const list = document.querySelector("#list");
const articles = [...list.children];
const places = { pathology: (a) => +a.dataset.rank, row: (a) => +a.dataset.row, confidence: (a) => +a.dataset.confidence };

function show() {
  const wanted = new FormData(form);
  const find = wanted.get("find").toLowerCase();
  let shown = 0;
  for (const article of articles) {
    const fits = ["verdict", "label", "right"].every((k) => !wanted.get(k) || article.dataset[k] === wanted.get(k))
      && (!find || [...article.querySelectorAll(".words")].some((words) => words.textContent.toLowerCase().includes(find)));
    article.hidden = !fits;
    shown += fits;
  }
  const place = places[wanted.get("sort")];
  list.append(...articles.sort((a, b) => place(a) - place(b)));
  document.querySelector("output").textContent = `${shown} of ${articles.length} shown`;
}

form.addEventListener("input", show);
form.addEventListener("submit", (event) => event.preventDefault());
form.hidden = false;
show();
