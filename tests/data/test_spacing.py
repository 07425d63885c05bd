"""White space between word pieces: the corpus's majority, quotes in turn."""

from data.spacing import Spacing, count_spacing


def learn(*texts: tuple[str, str]) -> Spacing:
    """Spacing learnt from texts whose pieces are given with "_" between them."""
    counts: dict[tuple[str, str], int] = {}
    for text, joined in texts:
        pieces, offsets, place = joined.split("_"), [], 0
        for piece in pieces:
            place = text.index(piece.removeprefix("##"), place)
            offsets.append((place, place + len(piece.removeprefix("##"))))
            place = offsets[-1][1]
        count_spacing(pieces, offsets, counts)
    return Spacing.from_counts(counts)


def test_signs_touch_as_they_mostly_do():
    spacing = learn(
        ("well-made, not ill-made", "well_-_made_,_not_ill_-_made"),
        ("five - six", "five_-_six"),
    )
    assert spacing.join(["a", "-", "b", ",", "c"]) == "a-b, c"
    assert spacing.join(["un", "##kind", "-", "##ly"]) == "unkind-ly"


def test_a_sign_may_lean_on_a_word_and_not_on_a_sign():
    spacing = learn(("(one) two (three).", "(_one_)_two_(_three_)_."))
    assert spacing.join(["(", "a", ")", "b", "(", "c", ")", "."]) == "(a) b (c)."


def test_words_are_parted_and_ideographs_follow_the_corpus():
    spacing = learn(("他是人 ok", "他_是_人_ok"))
    assert spacing.join(["his", "name", "他", "是", "人"]) == "his name 他是人"


def test_quotes_open_and_close_in_turn():
    assert Spacing({}).join(["say", '"', "yes", '"', "and", '"', "no", '"']) == 'say "yes" and "no"'


def test_rows_bring_it_back():
    spacing = learn(("a-b. (c)", "a_-_b_._(_c_)"))
    assert Spacing.from_json(spacing.to_json()) == spacing
    assert spacing.join([]) == ""
