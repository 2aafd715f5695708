"""What the processes that are forked for tests have imported before: every stage."""

import pkgutil
from importlib import import_module

# Each process imports it anew otherwise, as the module that pytest was started from.
import pytest  # noqa: F401

# The first optimizer would import it, for two seconds in each process.
import torch._dynamo  # noqa: F401

import pipeline

for module in pkgutil.iter_modules(pipeline.__path__):
    import_module(f"pipeline.{module.name}")
