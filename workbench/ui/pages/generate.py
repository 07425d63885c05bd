"""Generate: prompts in, continuations of both arms side by side, with what they cost."""

import streamlit as st

from workbench.ui.kit.cached import references_of
from workbench.ui.kit.empty_state import require_runs, selection_or_stop
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import block, blocks
from workbench.ui.kit.figures import show_table
from workbench.ui.kit.theme import colours, surface
from workbench.ui.sections.continuations import MOST_PROMPTS, WritingView, baseline_texts, write

NOTHING = "(no text: the end mark ∎ came first, so it ended at once)"

st.title("Generate")
st.caption(
    "Every arm continues the same prompts from the same noise. Look at whether it stays fluent and "
    "whether it stays with the prompt's people and things; these come apart. It would surprise if "
    "more steps helped both arms alike."
)
selection = selection_or_stop()
runs = require_runs(selection)
sampling = selection.study.config.base.sampling

with st.form("settings"):
    typed = st.text_area(
        "Prompts, one a line; empty takes held-out ones", key="prompts", bind="query-params",
        max_chars=4000, placeholder="One night, Anna the baker brought her white drum to the cave.",
    )  # fmt: skip
    from models.samplers import SAMPLERS

    one, two, three, four, five = st.columns(5)
    count = one.slider("Held-out prompts", 1, MOST_PROMPTS, 4, key="count", bind="query-params")
    sampler = two.selectbox("Sampler", list(SAMPLERS), key="sampler", bind="query-params")
    steps = three.slider(
        "Steps", 1, 200, min(200, sampling.sampler.num_steps), key="steps", bind="query-params"
    )
    guidance = four.slider(
        "Guidance (1 = off)", 0.0, 8.0, float(sampling.guidance_scales[0]), 0.25,
        key="guidance", bind="query-params",
    )  # fmt: skip
    seed = five.number_input("Noise seed", 0, 9999, 0, key="noise", bind="query-params")
    st.caption(
        "The same prompt, seed and settings write the same text in Playback and with "
        "`workbench sample`. The study's stored samples were drawn many at a time, with other "
        "fresh noise on the way, and so read differently."
    )
    st.form_submit_button("Write", type="primary", icon=":material/edit_note:")

lines = tuple(line.strip() for line in typed.splitlines() if line.strip())[:MOST_PROMPTS]
view = WritingView(
    prompts=lines, count=int(count), sampler=sampler, num_steps=int(steps),
    guidance_scale=float(guidance), seed=int(seed),
)  # fmt: skip

written = {}
for arm, run in runs.items():
    with guarded(f"Arm {arm}"):
        written[arm] = write(run, view)
if not written:
    st.stop()

palette, grey = colours(selection.all_arms), surface().muted
references = references_of(selection.study)
others = {} if lines else baseline_texts(selection.study, int(count))
prompts = list(lines) or references.prompts[: int(count)]
for row, prompt in enumerate(prompts):
    parts = [block(prompt, label=f"{row + 1}.", muted=True)]
    parts += [
        block(w.texts[row].strip() or NOTHING, label=arm, colour=palette[arm])
        for arm, w in written.items()
    ]
    if not lines:
        parts.append(block(references.continuations[row], label="human", colour=grey))
    parts += [block(texts[row], label=name, colour=grey) for name, texts in others.items()]
    st.html(blocks(parts))
    st.space("small")

import pandas as pd  # noqa: E402  (after the empty state)

st.subheader("What it cost")
show_table(
    pd.DataFrame(
        {
            "arm": list(written),
            "network evaluations a prompt": [w.nfe for w in written.values()],
            "seconds in all": [round(w.seconds, 3) for w in written.values()],
            "ended by itself": [f"{w.ended.mean():.0%}" for w in written.values()],
        }
    ),
    "cost",
    caption="Guidance other than 0 or 1 evaluates the network twice a step, and so counts twice.",
)
rows = pd.DataFrame({"prompt": prompts, **{arm: w.texts for arm, w in written.items()}})
st.download_button(
    "Export these texts (CSV)", lambda: rows.to_csv(index=False), file_name="continuations.csv",
    mime="text/csv", on_click="ignore", icon=":material/download:",
)  # fmt: skip
