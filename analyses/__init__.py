"""Probes, scores, statistics and figures: arrays in, frozen results out.

    spaces      probes of a latent space           paths    sampling trajectories, onsets
    texts       scores of generated text           maps     two-dimensional maps
    scorecard   which probe foretells generation   figures  results to Plotly figures
    statistics  intervals, nulls, verdicts         numerics what several of them share

Nothing here knows torch, Streamlit, the models or the engine. A probe that needs a decoder or
a flow takes it as a function from arrays to arrays.
"""
