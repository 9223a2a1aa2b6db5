"""PCT in `transformers.Trainer`: the loss is the method's, all else the library's.

python examples/transformers_trainer.py FOLDER_OF_AN_ENCODER
"""

import sys
import tempfile

from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainingArguments

import pct
from pct.training.hf_trainer import MethodTrainer

model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], num_labels=2)
corpus = pct.load_corpus(pct.Settings(corpus="planted", limit=64))

with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        folder, num_train_epochs=1, per_device_train_batch_size=16, learning_rate=3e-5, seed=0, report_to="none"
    )
    trainer = MethodTrainer(
        model,
        arguments,
        AutoTokenizer.from_pretrained(sys.argv[1]),
        settings={"method": "pct", "alpha": 0.15, "temperature": 0.15},
        train_dataset=corpus["train"],
        eval_dataset=corpus["validation"],
    )
    trainer.train()
    print(trainer.evaluate())
