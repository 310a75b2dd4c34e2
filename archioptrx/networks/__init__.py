"""Networks as torch modules: building blocks, and the compiler from a computation graph to a model."""
