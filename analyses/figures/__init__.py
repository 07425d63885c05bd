"""Results to `plotly.graph_objects.Figure`: one module a picture, one theme for all."""
