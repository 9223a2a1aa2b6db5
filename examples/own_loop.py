"""PCT's loss for a plain transformers classifier, in a training loop of one's own.

python examples/own_loop.py FOLDER_OF_AN_ENCODER
"""

import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import pct
from pct.training.own_loop import MethodLoss

torch.manual_seed(0)
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], num_labels=2)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
train = pct.load_corpus(pct.Settings(corpus="planted", limit=64))["train"]

loss = MethodLoss(model, tokenizer, method="pct", alpha=0.15, temperature=0.15)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-5)
for start in range(0, len(train), 16):
    rows = train[start : start + 16]
    step = loss.step(loss.collate(rows["text"], rows["label"]))
    optimizer.zero_grad()
    step.loss.backward()
    optimizer.step()
    print({name: round(float(value), 3) for name, value in step.parts.items()})

(why,) = pct.explain(pct.wrap(model, tokenizer), ["Despite its slow start, the film is brilliant."])
print(why.label_name, dict(zip(why.words, why.saliency.round(3), strict=True)))
