"""How long to wait before something is tried again."""

import random


def jittered(base: float) -> float:
    """`base` give or take half of it: what many clients do, they should not do at
    once."""
    return base * random.uniform(0.5, 1.5)
