"""`make bench`: what docs/benchmarks.md quotes, measured on this machine.

The server runs on core 0 and the clients on core 1; what is compared runs in turn, and
ratios are medians over several such rounds, because machines are noisy.
"""
