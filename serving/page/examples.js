// Texts to begin with, of the kind that the served models were trained on.

// these corpora write punctuation as words of their own
const SPACED = ["planted", "mr"];

const FILM = [
  "an elegant thriller , beautifully shot and almost too clever for its own good .",
  "what could have been a dull history lesson becomes , in her hands , a gripping and humane drama .",
  "despite its slow start , the film is a brilliant and moving portrait of an ordinary family .",
  "the cast works hard , but the dialogue sounds as if it was written by a committee .",
  "the director piles one twist on another until none of them means a thing .",
  "all the money is on the screen , and all the life is somewhere else .",
];
const NEWS = [
  "Chip maker lifts its forecast as demand for faster servers outruns supply, shares rise 4 percent",
  "Late goal sends the visitors through to the final after a goalless first half in the rain",
  "Talks on a cease-fire resume in Geneva while aid convoys wait at the border",
  "Astronomers find water vapour around a small planet that orbits a nearby star",
  "The club's new owner, a software billionaire, wants the stadium wired before the season opens",
];
const PLAIN = [
  "I waited an hour for a table , and the food was worth every minute of it .",
  "The manual is long and confusing , yet the tool itself is simple and quick .",
  "They promised a refund twice and never answered again .",
];
const BY_CORPUS = { planted: FILM, mr: FILM, imdb: FILM, ag_news: NEWS };

/** For the corpora of the served models, the first one's first. */
export function examples(corpora) {
  const sets = new Set(corpora.map((corpus) => BY_CORPUS[corpus] ?? PLAIN));
  return [...sets].flatMap((set) => (sets.size > 1 ? set.slice(0, 3) : set));
}

/** What a user of these corpora has to know about words. */
export function hint(corpora) {
  return corpora.some((corpus) => SPACED.includes(corpus))
    ? "A word is what stands between spaces; these models read punctuation as words of its own: “slow , but moving .”"
    : "A word is what stands between spaces.";
}
