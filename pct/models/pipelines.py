"""Text-classification pipelines of transformers: model, tokenizer and options."""

from __future__ import annotations

from typing import Any

from pct.models.outputs import SIGMOID_KIND, SOFTMAX_KIND, VALUE_KIND

CLASSIFYING = "text-classification"
HARMLESS = ("padding", "return_tensors", "return_token_type_ids", "return_attention_mask", "verbose")


def parts_of(pipeline: Any) -> tuple[Any, Any, dict[str, Any]]:
    """The model, the tokenizer and the settings of a pipeline.

    `max_length` is honoured if the pipeline truncates. `top_k` is ignored: all scores are given.

    Args:
        pipeline: a `TextClassificationPipeline`.

    Raises:
        TypeError: it is no pipeline.
        ValueError: it is for another task, it overrides a step, its scores are neither softmax nor sigmoid of the
            logits nor one number, or it passes unsupported options to its tokenizer.
    """
    if not (hasattr(pipeline, "model") and hasattr(pipeline, "tokenizer")):
        raise TypeError(
            f"a {type(pipeline).__name__} alone has no tokenizer: give wrap(model, "
            "tokenizer) both, a SentenceTransformer its head=, or any other classifier to pct.predictor_from"
        )
    if (task := getattr(pipeline, "task", CLASSIFYING)) != CLASSIFYING:
        raise ValueError(f"a pipeline for {task} does not classify texts: give one for {CLASSIFYING}")
    _check_code(pipeline)
    function = getattr(pipeline, "_postprocess_params", {}).get("function_to_apply")
    applied = getattr(function, "value", function)
    if applied == "none" and pipeline.model.config.num_labels == 1:
        applied = VALUE_KIND
    if applied not in (None, SOFTMAX_KIND, SIGMOID_KIND, VALUE_KIND):
        raise ValueError(
            f"the pipeline has function_to_apply={applied!r}: of several outputs only the probabilities of softmax or "
            "sigmoid can be explained; create it without function_to_apply"
        )
    own = _length(dict(getattr(pipeline, "_preprocess_params", {})))
    return pipeline.model, pipeline.tokenizer, own | ({"head": applied} if applied else {})


def _check_code(pipeline: Any) -> None:
    from transformers import TextClassificationPipeline

    for step in ("preprocess", "_forward", "postprocess"):
        if getattr(type(pipeline), step, None) is not getattr(TextClassificationPipeline, step):
            raise ValueError(
                f"a {type(pipeline).__name__} has a step of its own ({step}): wrap its model and tokenizer, or give "
                "pct.predictor_from a function that calls it"
            )


def _length(given: dict[str, Any]) -> dict[str, Any]:
    """The setting `max_length` from the arguments that a pipeline gives to its tokenizer."""
    length, cut = given.pop("max_length", None), given.pop("truncation", None)
    other = sorted(k for k in given if k not in HARMLESS)
    if other:
        raise ValueError(
            f"the pipeline tokenises with {other[0]}={given[other[0]]!r}, which is not supported: set it on the "
            "tokenizer, or create the pipeline without it"
        )
    # in transformers, max_length without truncation=... truncates
    cuts = cut in (None, True) or str(getattr(cut, "value", cut)) in ("longest_first", "only_first")
    return {"max_length": int(length)} if length is not None and cuts else {}
