"""The payment gateway of `run`, demo, soak and tests: localstripe as a process of its own, and in
front of it what localstripe lacks and what can go wrong (docs/gateways.md, "The test peer").
"""
