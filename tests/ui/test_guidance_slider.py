"""The guidance slider starts at the study's scale and says what acts beside it."""

import pytest
from streamlit.testing.v1 import AppTest


def page(guidance: float, internal: float) -> None:
    import streamlit as st

    from workbench.config.sampling import SamplingConfig
    from workbench.ui.kit.guidance_slider import guidance_slider

    sampling = SamplingConfig(guidance_scales=(guidance,), internal_scale=internal)
    st.write(f"chosen {guidance_slider(st.container(), sampling)}")


@pytest.mark.parametrize(("guidance", "internal"), [(2.0, 1.0), (1.0, 2.5)])
def test_the_slider_says_what_acts_beside_it(guidance: float, internal: float) -> None:
    app = AppTest.from_function(page, args=(guidance, internal)).run()
    assert not app.exception
    assert app.markdown[0].value == f"chosen {guidance}"
    assert ("stays at 2.5" in app.slider[0].help) == (internal == 2.5)
    assert ("Internal" in app.slider[0].help) == (internal == 2.5)
