"""The app's entry: page settings, the pages, and the sidebar that all pages share.

Start it with `make app`, or `python -m workbench app`.
"""

import streamlit as st

from workbench.ui.kit.error_card import run_guarded
from workbench.ui.kit.example_notice import show_example_notice
from workbench.ui.kit.link_notice import remember_link, show_link_notice
from workbench.ui.kit.sidebar import draw_sidebar
from workbench.ui.kit.theme import PAGE_STYLE
from workbench.ui.navigation import ICON, all_pages

# A file of our own: Streamlit fetches icons by name from the network.
st.set_page_config(page_title="Latent geometry workbench", page_icon=ICON, layout="wide")
page = st.navigation(all_pages())
st.html(PAGE_STYLE)
remember_link()
notice = st.container()
draw_sidebar()
show_example_notice()
run_guarded(page)
show_link_notice(notice)
