// What the figures mean, a sentence each.

export const FIGURES = {
  comp:
    "Comprehensiveness: how much the confidence falls, on average, as the most salient words go, up to a share of them " +
    "(a tenth, where the model was not set otherwise). Large is healthy.",
  suff: "Sufficiency: the same for the least salient words. Near zero, and below comp, is healthy.",
  ir: "How many of the most salient words go before the prediction changes. Few is healthy.",
  ur: "How many of the least salient words go before the prediction changes. Many, and more than ir, is healthy.",
  comp_aopc: "Comp, averaged over shares of 1, 5, 10, 20 and 50 % of the words.",
  suff_aopc: "Suff, averaged over shares of 1, 5, 10, 20 and 50 % of the words.",
};

/** Asked for in the settings: what the saliency knows beyond chance. */
export const CONTROLS = {
  comp_random: "Comp, had the words gone in a random order: the mean over five orders.",
  margin: "Comp less comp_random: what the saliency knows of the words that matter, beyond chance. Large is healthy.",
  suff_margin: "Comp_random less suff: the same of the words that do not matter.",
  tau_loo:
    "How well the ranking by saliency agrees with what each word's own removal costs: 1 wholly, 0 not at all " +
    "(Kendall's tau).",
  separation:
    "How much nearer the model's representation stays to the whole text's when the least salient words go than when " +
    "the most salient do. Near zero, the model hardly tells the two apart.",
};

const MEASURED = {
  acc: "Accuracy on the test split.",
  f_x: "Mean confidence in the predicted class on the test split.",
  i_var: "How much the ranking of the other words changes when the most salient one goes.",
  u_var: "How much the ranking of the other words changes when the least salient one goes.",
  i_var_aligned: "i_var without the shift by one that removing the first rank alone brings.",
  u_var_aligned: "u_var with the words that are left ranked anew.",
  rationale_auprc: "On a corpus whose deciding words are marked: area under the precision-recall curve of the saliency.",
  rationale_auprc_random: "rationale_auprc of random orders of the words.",
  rationale_f1: "On a corpus whose deciding words are marked: F1 of the most salient words, as many as are marked on average.",
  rationale_f1_random: "rationale_f1 of random orders of the words.",
  rationale_iou_f1: "The same of spans: runs of words that overlap a marked span by half or more.",
  rationale_iou_f1_random: "rationale_iou_f1 of random orders of the words.",
  rationale_tau: "Kendall's tau-b of the saliency and the share of people who marked a word.",
  shortcut_share:
    "On a corpus with a planted shortcut: its share among the most salient words. It holds in training only.",
  rationale_auprc_shortcut: "rationale_auprc over the texts with the shortcut.",
  rationale_f1_shortcut: "rationale_f1 over the texts with the shortcut.",
};

/** What each saliency is, in some words; one of another package has its name alone. */
export const SALIENCIES = {
  l2: "size of the gradient",
  l1: "sum of the gradient's sizes",
  grad_x_input: "gradient × input",
  integrated_gradients: "mean gradient from an empty text",
  smooth_grad: "mean gradient under noise",
  frozen_grad_x_input: "gradient × input, attention and norms held constant",
  gim: "gradient × input, interactions shared out",
  occlusion: "what each word's removal costs",
  lime: "weights of a linear model of reduced texts",
  kernel_shap: "Shapley values, estimated",
  attention: "weights of the last layer",
  rollout: "attention through all layers",
  random: "random numbers, the control",
};

const OTHERS = {
  saliency:
    "One number a word: how much it counts for the class that is explained. With a sign, a number above zero is evidence " +
    "for the class, one below it evidence against; without, words are only more or less important.",
  audited:
    "Found by pct audit on texts with labels: which saliency of this model points at the words that matter, beside a " +
    "random order of removal.",
  "static, recomputed": "The words are ranked once, on the whole text; or again after each removal.",
  healthy:
    "Comp is above suff by more than .01, and fewer of the most salient words than of the least salient ones change " +
    "the prediction.",
  pathological:
    "Suff is above comp by more than .01, or fewer of the least salient words than of the most salient ones change the " +
    "prediction: what the saliency points at matters less than the rest.",
  undecided: "Neither: flat curves, no change of the prediction on either side, or only one or two words.",
};

/** How a model was trained, a sentence each. */
export const METHODS = {
  normal: "Trained on the labels alone, as classifiers usually are.",
  pct:
    "Trained by pathological contrastive training: a text without its least salient words stays near the whole text, " +
    "one without its most salient words moves away, so that saliency points at what matters.",
  entropy: "Trained to be unsure of texts that have lost words.",
  masked: "Trained on texts of which some words are masked, too.",
  saliency_guided: "Trained to predict the same without its least salient words.",
  rationale: "Trained with the words that should decide known, and gradients elsewhere kept small.",
  removal_margin:
    "Trained so that its most salient words are worth something to the prediction, and that it stays the same without " +
    "its least salient or random ones.",
  unirex: "Trained so that its most salient words are enough to decide, and that the rest is not.",
};

const ALL = { ...OTHERS, ...METHODS, ...FIGURES, ...CONTROLS, ...MEASURED };
const id = (name) => `meaning-${name.replaceAll(/\W+/g, "-")}`;

/** Writes every term with its sentence into a definition list. */
export function explainTerms(list) {
  for (const [name, meaning] of Object.entries(ALL)) {
    const [key, text] = [document.createElement("dt"), document.createElement("dd")];
    key.textContent = name;
    text.textContent = meaning;
    text.id = id(name);
    list.append(key, text);
  }
}

/** A figure's name, which tells its meaning to the pointer, to the Tab key and to a tap. */
export function term(name) {
  const made = document.createElement("abbr");
  made.textContent = name;
  if (name in ALL) {
    made.dataset.tip = ALL[name];
    made.tabIndex = 0;
    made.setAttribute("aria-describedby", id(name));
  }
  return made;
}
