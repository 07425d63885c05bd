"""Results to `plotly.graph_objects.Figure`: one module per picture, one theme for all."""
