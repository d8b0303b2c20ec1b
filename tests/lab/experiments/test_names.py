"""The model of names: its rows, its scores, its samples, and a training that is killed."""

import pytest
import torch

from gainstage.lab.data import LETTERS, letter_rows
from gainstage.lab.experiments import names
from gainstage.lab.experiments.names import Course, Options, draw_weights, train_


class Killed(BaseException):
    """Whatever ends a process."""


def test_the_first_rows_are_those_published():
    contexts, letters, owners = letter_rows(["emma", "bo"])
    rows = [
        ("".join(LETTERS[i] for i in context), LETTERS[letter])
        for context, letter in zip(contexts.tolist(), letters.tolist(), strict=True)
    ]
    assert rows[:5] == [("...", "e"), ("..e", "m"), (".em", "m"), ("emm", "a"), ("mma", ".")]
    assert owners.tolist() == [0] * 5 + [1] * 3


def test_the_third_evaluation_in_vain_cuts_the_rate_and_begins_to_wait_anew():
    course = Course(lr=1.0)
    for step, loss in enumerate([3.0, 2.0, 2.5, 2.1, 2.0, 2.4, 1.9, 2.0, 2.0, 2.0]):
        course.losses.append(0.0)
        course.evaluated(loss, last=step == 9)
    assert course.cuts == [5]  # after the third of 2.5, 2.1, 2.0; the last one cuts nothing
    assert course.lr == pytest.approx(0.1)


def rows(n, seed):
    generator = torch.Generator().manual_seed(seed)
    contexts = torch.randint(27, (n, 3), generator=generator)
    return contexts, torch.randint(27, (n,), generator=generator)


OPTIONS = Options(steps=25, every=5, lr=0.05)


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    calls = iter(range(1000))

    def dying(*arguments):
        if next(calls) == 12:
            raise Killed
        return saved(*arguments)

    whole, part = draw_weights(0), draw_weights(0)
    expected = train_(whole, rows(500, 0), rows(50, 1), OPTIONS, tmp_path / "whole.pt")
    saved = names.loss_of
    monkeypatch.setattr(names, "loss_of", dying)
    with pytest.raises(Killed):
        train_(part, rows(500, 0), rows(50, 1), OPTIONS, tmp_path / "part.pt")
    monkeypatch.setattr(names, "loss_of", saved)
    again = draw_weights(3)
    assert train_(again, rows(500, 0), rows(50, 1), OPTIONS, tmp_path / "part.pt") == expected
    assert all(torch.equal(one, other) for one, other in zip(again, whole, strict=True))


def test_samples_are_names_and_need_no_global_generator():
    weights, before = draw_weights(0), torch.get_rng_state()
    generator = torch.Generator().manual_seed(1)
    found = [names._sample(weights, generator) for _ in range(5)]
    assert all(set(name) <= set(LETTERS[1:]) for name in found)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_score_is_the_mean_over_letters_and_the_end():
    weights = draw_weights(0)
    contexts, letters, _ = letter_rows(["ab"])
    chances = names._scores(weights, contexts).softmax(1)
    expected = -sum(chances[i, letter].log() for i, letter in enumerate(letters)) / 3
    assert names._score(weights, "ab") == pytest.approx(expected.item(), rel=1e-5)
