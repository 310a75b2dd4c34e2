"""Trained numbers of everything that makes tracks of hits: benchmarks of small models count them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.data.options import OF
from archioptrx.data.sources.embedding import Embedding
from archioptrx.data.sources.learned import FITTED
from archioptrx.models.model_folder import TrainedModel, load_model

MODEL = "model"
"""Key of a data description that names a trained model, see `archioptrx.models.triplet_sources`."""


def trained_numbers(model: TrainedModel) -> int:
    """Trained numbers of a network, of the embedding that made its edges, and of the classifier before it."""
    own = sum(p.numel() for p in model.model.parameters() if p.requires_grad)
    return own + _of_embeddings(model.metadata.options) + _of_classifiers(model.provenance.data.content)


def _of_embeddings(options: Mapping[str, Any]) -> int:
    """Numbers of the embeddings in the options of a data set, and of the one that it was made of."""
    inner = options.get(OF)
    numbers = _of_embeddings(inner.get("options", {})) if isinstance(inner, Mapping) else 0
    if FITTED not in options:
        return numbers
    embedding = Embedding.from_dict(options[FITTED])
    return numbers + sum(tensor.numel() for tensor in (*embedding.weights, *embedding.biases))


def _of_classifiers(description: Mapping[str, Any]) -> int:
    """Numbers of the models that a data description names."""
    inner, name = description.get(OF), description.get(MODEL)
    numbers = _of_classifiers(inner) if isinstance(inner, Mapping) else 0
    return numbers + (trained_numbers(load_model(str(name))) if name else 0)
