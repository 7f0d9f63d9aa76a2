"""The order of names and the matches of a search are extended as names are added, and equal those of all names at once."""

from __future__ import annotations

import random

from figures.store.names import LABELS, Names
from figures.store.spelling import folded, matches

PARTS = ("a", "A", "ä", "é", "E", "-", " ", "ﬁ", "ß", "\u200b", "я", "7", "")


def test_order_and_matches_of_names_follow_those_that_are_added() -> None:
    randomly = random.Random(5)
    names = Names(of_values=True)
    for _ in range(40):
        for _ in range(randomly.randrange(12)):
            names.number("".join(randomly.choices(PARTS, k=4)))
        ranks = names.ranks().tolist()
        assert len(set(ranks)) == len(names.names)
        by_rank = sorted(range(len(ranks)), key=ranks.__getitem__)
        assert by_rank == sorted(range(len(ranks)), key=lambda number: (folded(names.names[number]), names.names[number]))
        # More searches than are kept, some of which come again.
        for search in randomly.sample(["a", "Ä", "e", "fi", "ss", "\u200b", "-7", "я", "(", "aa", "nothing"], 9):
            assert names.matching(search).tolist() == [matches(name, search) for name in names.names]


def test_a_text_that_looks_like_a_label_has_its_rank() -> None:
    names = Names(of_values=True)
    numbers = [names.number(text) for text in ("b", *LABELS, "a")]
    ranks = names.ranks()
    assert [ranks[number] for number in numbers[1:3]] == ranks[:2].tolist()
    assert ranks[numbers[3]] < ranks[numbers[0]]
