"""Trains a small classifier, explains a sentence and measures how far its explanations can be trusted.

python examples/quickstart.py
"""

import pct

# small and hasty, to be done in seconds; without limit, lr and batch_size it is the paper's training
settings = pct.Settings(
    corpus="planted", model="textcnn", method="pct", epochs=2, limit=4000, lr=2e-3, batch_size=16, evaluate_epochs=False
)
clf = pct.train(settings, progress=False)

(why,) = pct.explain(clf, ["Despite its slow start, the film is brilliant."])
print(f"{why.label_name}, {why.confidence:.3f}")
for word, score in zip(why.words, why.saliency, strict=True):
    print(f"{word:>10} {score:.3f}")
print("confidence as the most salient words go: ", [round(f, 3) for f in why.important.confidences])
print("confidence as the least salient words go:", [round(f, 3) for f in why.unimportant.confidences])

report = pct.evaluate(clf, pct.load_corpus(settings)["test"], limit=300)
print(report.table())
