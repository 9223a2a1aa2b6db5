// What the metrics mean, one sentence each.

export const FIGURES = {
  comp:
    "Comprehensiveness: the mean fall of the confidence as the most salient words are removed, up to a share of all " +
    "words (a tenth, unless the model has another setting). Large is healthy.",
  suff: "Sufficiency: the same for the least salient words. Near zero, and below comp, is healthy.",
  ir: "The number of the most salient words to remove until the prediction changes. Few is healthy.",
  ur: "The number of the least salient words to remove until the prediction changes. Many, and more than ir, is healthy.",
  comp_aopc: "Comp, averaged over shares of 1, 5, 10, 20 and 50 % of the words.",
  suff_aopc: "Suff, averaged over shares of 1, 5, 10, 20 and 50 % of the words.",
};

/** Shown if the settings say so: what the saliency tells beyond chance. */
export const CONTROLS = {
  comp_random: "Comp for words removed in a random order: the mean over five orders.",
  margin: "Comp minus comp_random: what the saliency tells about important words beyond chance. Large is healthy.",
  suff_margin: "Comp_random minus suff: the same for unimportant words.",
  tau_loo:
    "The agreement of the ranking by saliency with the effect of each word's own removal: 1 full, 0 none " +
    "(Kendall's tau).",
  separation:
    "How much closer the model's representation stays to that of the whole text when the least salient words are " +
    "removed than when the most salient are. Near zero, the model hardly distinguishes the two.",
};

const MEASURED = {
  acc: "Accuracy on the test split.",
  f_x: "Mean confidence in the predicted class on the test split.",
  i_var: "How much the ranking of the other words changes when the most salient one is removed.",
  u_var: "How much the ranking of the other words changes when the least salient one is removed.",
  i_var_aligned: "i_var without the shift by one that the removal of the first rank causes.",
  u_var_aligned: "u_var with the remaining words ranked again.",
  rationale_auprc: "On a corpus whose deciding words are marked: area under the precision-recall curve of the saliency.",
  rationale_auprc_random: "rationale_auprc of random orders of the words.",
  rationale_f1: "On a corpus whose deciding words are marked: F1 of the most salient words, as many as are marked on average.",
  rationale_f1_random: "rationale_f1 of random orders of the words.",
  rationale_iou_f1: "The same of spans: runs of words that overlap a marked span by half or more.",
  rationale_iou_f1_random: "rationale_iou_f1 of random orders of the words.",
  rationale_tau: "Kendall's tau-b of the saliency and the share of people who marked a word.",
  shortcut_share:
    "On a corpus with a planted shortcut: its share among the most salient words. It predicts the label in training only.",
  rationale_auprc_shortcut: "rationale_auprc over the texts with the shortcut.",
  rationale_f1_shortcut: "rationale_f1 over the texts with the shortcut.",
};

/** A short description of each saliency; one of another package has its name alone. */
export const SALIENCIES = {
  l2: "size of the gradient",
  l1: "sum of the gradient's sizes",
  grad_x_input: "gradient × input",
  integrated_gradients: "mean gradient from an empty text",
  smooth_grad: "mean gradient under noise",
  frozen_grad_x_input: "gradient × input, attention and norms held constant",
  gim: "gradient × input, interactions shared",
  occlusion: "effect of each word's removal",
  lime: "weights of a linear model of reduced texts",
  kernel_shap: "Shapley values, estimated",
  attention: "weights of the last layer",
  rollout: "attention through all layers",
  random: "random numbers, the control",
};

const OTHERS = {
  saliency:
    "One number per word: its importance for the class that is explained. With a sign, a number above zero is evidence " +
    "for the class, one below zero evidence against it; without a sign, words are only more or less important.",
  audited:
    "The result of pct audit on texts with labels: which saliency of this model finds the important words better than " +
    "a random order of removal.",
  "static, recomputed": "The words are ranked once, on the whole text, or again after each removal.",
  healthy:
    "Comp is above suff by more than .01, and fewer of the most salient words than of the least salient ones change " +
    "the prediction.",
  pathological:
    "Suff is above comp by more than .01, or fewer of the least salient words than of the most salient ones change the " +
    "prediction: the words that the saliency marks matter less than the others.",
  undecided: "Neither: flat curves, no change of the prediction on either side, or only one or two words.",
};

/** How a model was trained, one sentence each. */
export const METHODS = {
  normal: "Trained on the labels alone, as classifiers usually are.",
  pct:
    "Trained by pathological contrastive training: a text without its least salient words stays close to the whole text, " +
    "one without its most salient words moves away, so that the saliency marks the important words.",
  entropy: "Trained to be uncertain about texts without some of their words.",
  masked: "Trained also on texts with some words masked.",
  saliency_guided: "Trained to predict the same without the least salient words.",
  rationale: "Trained with known decisive words; the gradients at other words are kept small.",
  removal_margin:
    "Trained so that the prediction depends on its most salient words, and stays the same without its least salient " +
    "or random ones.",
  unirex: "Trained so that its most salient words are enough to decide, and the others are not.",
  vmask: "Trained with a weight for each word of its vocabulary, learned from texts with random words masked.",
};

const ALL = { ...OTHERS, ...METHODS, ...FIGURES, ...CONTROLS, ...MEASURED };
const id = (name) => `meaning-${name.replaceAll(/\W+/g, "-")}`;

/** Adds every term with its sentence to a definition list. */
export function explainTerms(list) {
  for (const [name, meaning] of Object.entries(ALL)) {
    const [key, text] = [document.createElement("dt"), document.createElement("dd")];
    key.textContent = name;
    text.textContent = meaning;
    text.id = id(name);
    list.append(key, text);
  }
}

/** The name of a metric, which shows its meaning to the pointer, to the Tab key and to a tap. */
export function term(name) {
  const element = document.createElement("abbr");
  element.textContent = name;
  if (name in ALL) {
    element.dataset.tip = ALL[name];
    element.tabIndex = 0;
    element.setAttribute("aria-describedby", id(name));
  }
  return element;
}
