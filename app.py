"""The app's entry: page settings, the pages, and the sidebar that all pages share.

Start it with `make app`, or `python -m workbench app`.
"""

import streamlit as st

from workbench.ui.guard import run_guarded
from workbench.ui.navigation import ICON, all_pages
from workbench.ui.sidebar import draw_sidebar

# A file of our own: Streamlit fetches icons by name from the network.
st.set_page_config(page_title="Latent geometry workbench", page_icon=ICON, layout="wide")
page = st.navigation(all_pages())
draw_sidebar()
run_guarded(page)
