"""Fetches and converts the models that CacheClip runs (see docs/models.md).

Everything but the conversion itself is standard library; the conversion runs in a virtual environment
that `environment` makes in the cache folder, so a plain system Python is enough to call this package.
"""
