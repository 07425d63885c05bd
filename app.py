"""The app's entry: page settings, the pages, and the sidebar that all pages share.

Start it with `make app`, or `python -m workbench app`.
"""

import streamlit as st

from workbench.ui.guard import run_guarded
from workbench.ui.navigation import all_pages
from workbench.ui.sidebar import draw_sidebar

st.set_page_config(page_title="Latent geometry workbench", page_icon=":material/scatter_plot:")
st.set_page_config(layout="wide")
page = st.navigation(all_pages())
draw_sidebar()
run_guarded(page)
