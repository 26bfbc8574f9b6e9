"""The charger's front as a web page: what a driver sees, and beneath it what an engineer wants to
know.
"""
