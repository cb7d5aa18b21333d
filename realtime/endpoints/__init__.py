"""The endpoints beside streams (`realtime.consumers`) and publishes (`realtime.views`),
and what those share: health, requests that are held before they are refused, publishes
that were refused, and requests that missed their path.
"""
