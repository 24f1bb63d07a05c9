"""Distils a primary model's attention into a small auxiliary model for the selector (see docs/training.md).

Reading samples, texts, spans, configurations and run folders needs no torch; `cli` imports what computes only when
it is about to compute.
"""
