"""A `text-classification` pipeline of transformers: its model, its tokenizer, and what it was told to do."""

from __future__ import annotations

from typing import Any

CLASSIFYING = "text-classification"
HARMLESS = ("padding", "return_tensors", "return_token_type_ids", "return_attention_mask", "verbose")


def parts_of(pipeline: Any) -> tuple[Any, Any, dict[str, Any]]:
    """The model, the tokenizer and the settings of a pipeline.

    `max_length` is honoured where the pipeline cuts texts to it. `top_k` chooses which scores are shown: all are given.

    Args:
        pipeline: a `TextClassificationPipeline`.

    Raises:
        TypeError: it is no pipeline.
        ValueError: it is one for another task, it has code of its own, its scores are no softmax of the logits, or it
            tokenises texts in another way than its tokenizer does.
    """
    if not (hasattr(pipeline, "model") and hasattr(pipeline, "tokenizer")):
        raise TypeError(f"a {type(pipeline).__name__} alone has no tokenizer: give wrap(model, tokenizer) both")
    if (task := getattr(pipeline, "task", CLASSIFYING)) != CLASSIFYING:
        raise ValueError(f"a pipeline for {task} gives no text a class: give one for {CLASSIFYING}")
    _check_code(pipeline)
    function = getattr(pipeline, "_postprocess_params", {}).get("function_to_apply")
    if function is not None and getattr(function, "value", function) != "softmax":
        raise ValueError(
            f"the pipeline has function_to_apply={getattr(function, 'value', function)!r}: only the probabilities of "
            "softmax can be explained; make it without function_to_apply"
        )
    return pipeline.model, pipeline.tokenizer, _length(dict(getattr(pipeline, "_preprocess_params", {})))


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
            f"the pipeline tokenises with {other[0]}={given[other[0]]!r}, which is not taken: set it on the tokenizer, "
            "or make the pipeline without it"
        )
    # transformers takes a max_length without a word on truncation for truncation
    cuts = cut in (None, True) or str(getattr(cut, "value", cut)) in ("longest_first", "only_first")
    return {"max_length": int(length)} if length is not None and cuts else {}
