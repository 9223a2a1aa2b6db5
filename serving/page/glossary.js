// What the figures mean, a sentence each.

export const FIGURES = {
  comp: "Comprehensiveness: how much the confidence falls without the most salient tenth of the words. Large is healthy.",
  suff: "Sufficiency: how much the confidence falls without the least salient tenth of the words. Near zero, and below comp, is healthy.",
  ir: "How many of the most salient words go before the prediction changes. Few is healthy.",
  ur: "How many of the least salient words go before the prediction changes. Many, and more than ir, is healthy.",
  comp_aopc: "Comp, averaged over shares of 1, 5, 10, 20 and 50 % of the words.",
  suff_aopc: "Suff, averaged over shares of 1, 5, 10, 20 and 50 % of the words.",
};

export const MEASURED = {
  acc: "Accuracy on the test split.",
  f_x: "Mean confidence in the predicted class on the test split.",
  ...FIGURES,
  i_var: "How much the ranking of the other words changes when the most salient one goes.",
  u_var: "How much the ranking of the other words changes when the least salient one goes.",
  i_var_aligned: "i_var without the shift by one that removing the first rank alone brings.",
  u_var_aligned: "u_var with the words that are left ranked anew.",
  rationale_auprc: "On a corpus whose deciding words are known: area under the precision-recall curve of the saliency.",
  rationale_precision: "On a corpus whose deciding words are known: their share among the most salient words.",
};

const OTHERS = {
  saliency:
    "One number a word: the size of the gradient of the log-odds at the word's embedding (l2, l1), or the gradient times the embedding, which is above zero for evidence for the class and below it for evidence against.",
  "static, recomputed": "The words are ranked once, on the whole text; or again after each removal.",
  pathology: "comp ≤ suff, or ir ≥ ur: the words that the saliency points at matter no more than the others.",
};

/** Terms and their sentences, as they stand in the page's glossary. */
export function entries() {
  return Object.entries({ ...FIGURES, ...OTHERS });
}

/** A figure's name, which tells its meaning to the pointer, to the Tab key and to a tap. */
export function term(name, meaning) {
  const made = document.createElement("abbr");
  made.textContent = name;
  if (meaning) {
    made.dataset.tip = meaning;
    made.tabIndex = 0;
    made.setAttribute("aria-label", `${name}: ${meaning}`);
  }
  return made;
}
