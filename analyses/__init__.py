"""Probes, statistics, text metrics and figures: arrays in, frozen results out.

Nothing here knows torch, Streamlit, the models or the engine. A probe that needs a decoder or
a flow takes it as a function from arrays to arrays.
"""
