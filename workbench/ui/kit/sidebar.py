"""The sidebar that all pages share: study, two arms, seed; picked from the scan, never typed.

Each choice is part of the address, so that a link reopens the same view.
"""

from __future__ import annotations

import streamlit as st

from workbench.ui.kit.escape import inline
from workbench.ui.kit.glossary import show_glossary
from workbench.ui.kit.link_notice import GONE, note_gone
from workbench.ui.kit.opened_finding import show_opened
from workbench.ui.kit.scan import FoundStudy, found_studies, study_of
from workbench.ui.kit.selection import STATE, Selection
from workbench.ui.kit.theme import ARM_MEANING, colours

FROM_A_BUNDLE = "from a latent bundle, not proved equal in anything"
OPENED = "_opened_study"


def draw_sidebar() -> None:
    """Draw the choices and remember them for the page; nothing where no study opens."""
    st.session_state[STATE] = None
    studies = found_studies()
    sound = {study.name: study for study in studies if not study.problem}
    opened = st.session_state.get(OPENED)
    if opened is not None and opened not in [study.name for study in studies]:
        note_gone(opened)
    with st.sidebar:
        if sound:
            chosen = st.session_state[STATE] = _choose(sound)
            if opened in sound and chosen.name != opened:
                st.session_state.pop(GONE, None)  # the reader has chosen anew
            st.session_state[OPENED] = chosen.name
            show_opened(chosen)
        else:
            st.caption("No study opens yet.")
        show_glossary()
        _list_damaged([study for study in studies if study.problem])


def _choose(sound: dict[str, FoundStudy]) -> Selection:
    name = _pick("Study", list(sound), "study", 0)
    study = study_of(sound[name])
    arms = study.all_arms
    left, right = st.columns(2)
    with left:
        first = _pick("Arm A", arms, "a", 0)
    with right:
        others = [arm for arm in arms if arm != first] or arms
        second = _pick("Arm B", others, "b", 0)
    seeds = [str(seed) for seed in study.config.seeds]
    seed = int(_pick("Seed", seeds, "seed", 0)) if len(seeds) > 1 else study.config.seeds[0]
    _legend(arms, (first, second), set(arms) - set(study.config.arms))
    return Selection(study, name, first, second, seed, sound[name].is_example)


def _pick(label: str, options: list[str], key: str, index: int) -> str:
    """A select box that lives in the address; a value that is no option gives way to the first."""
    if st.session_state.get(key) not in (None, *options):
        del st.session_state[key]
    chosen = st.selectbox(label, options, index=index, key=key, bind="query-params")
    return chosen if chosen in options else options[index]


def _legend(arms: list[str], chosen: tuple[str, ...], imported: set[str]) -> None:
    palette = colours(arms)
    meaning = {**ARM_MEANING, **dict.fromkeys(imported, FROM_A_BUNDLE)}
    rows = "".join(
        f'<div style="margin:.15rem 0"><span style="color:{palette[arm]}">&#9632;</span> '
        f"{f'<b>{arm}</b>' if arm in chosen else arm} "
        f"<span style='opacity:.7'>{meaning.get(arm, '')}</span></div>"
        for arm in arms
    )
    st.html(f'<div style="font-size:.8rem">{rows}</div>')


def _list_damaged(damaged: list[FoundStudy]) -> None:
    for study in damaged:
        st.error(f"**{inline(study.name)}** does not open: {inline(study.problem[:200])}")
