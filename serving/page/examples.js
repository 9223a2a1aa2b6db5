// Texts to begin with, of the kind that the served models were trained on.

const FILM = [
  "An elegant thriller, beautifully shot and almost too clever for its own good.",
  "What could have been a dull history lesson becomes, in her hands, a gripping and humane drama.",
  "Despite its slow start, the film is a brilliant and moving portrait of an ordinary family.",
  "The cast works hard, but the dialogue sounds as if it was written by a committee.",
  "The director piles one twist on another until none of them means a thing.",
  "All the money is on the screen, and all the life is somewhere else.",
];
const NEWS = [
  "Chip maker lifts its forecast as demand for faster servers outruns supply, shares rise 4 percent",
  "Late goal sends the visitors through to the final after a goalless first half in the rain",
  "Talks on a cease-fire resume in Geneva while aid convoys wait at the border",
  "Astronomers find water vapour around a small planet that orbits a nearby star",
  "The club's new owner, a software billionaire, wants the stadium wired before the season opens",
];
const PLAIN = [
  "I waited an hour for a table, and the food was worth every minute of it.",
  "The manual is long and confusing , yet the tool itself is simple and quick.",
  "They promised a refund twice and never answered again.",
];
const BY_CORPUS = { planted: FILM, mr: FILM, imdb: FILM, ag_news: NEWS };

/** For the served models, the first one's first; with their punctuation apart where a model reads it as a word only so. */
export function examples(models) {
  const sets = new Set(models.map((model) => BY_CORPUS[model.corpus] ?? PLAIN));
  const texts = [...sets].flatMap((set) => (sets.size > 1 ? set.slice(0, 3) : set));
  return apart(models) ? texts.map((text) => text.replaceAll(/([.,])(?=\s|$)/g, " $1").toLowerCase()) : texts;
}

/** What a user of these models has to know about words. */
export function hint(models) {
  if (models.every((model) => model.words === "natural")) return "";
  return apart(models)
    ? "Words are separated by spaces; these models read punctuation marks as separate words: “slow , but moving .”"
    : "Words are separated by spaces.";
}

// these corpora write punctuation as words of their own
const apart = (models) => models.some(({ words, corpus }) => words === "spaces" && ["planted", "mr"].includes(corpus));
