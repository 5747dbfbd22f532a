"""A harness that stops the product between two effects, without a line of it in the product.

``boundary`` names the boundaries, ``points`` says at which call of the product each one lies,
``harness`` wraps these calls while a test observes them, ``interruptions`` has what a test does
there. ``tests/integration/pipeline/crashing.py`` kills processes at them.
"""
