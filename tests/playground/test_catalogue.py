"""What the playground offers is what the registries hold."""

from __future__ import annotations

import msgspec

import gainstage as gs
from gainstage.playground.catalogue import offers
from gainstage.questions import Options, Settings


def test_every_member_is_offered_with_its_knobs():
    found = offers()
    names = [surface.name for surface in found.surfaces]
    assert set(gs.landscape.SURFACES) < set(names)
    assert {s.name: s.knee for s in found.surfaces}["line-fit-huber"] == "delta"
    optimizers = {one.name: one for one in found.optimizers}
    assert not optimizers["SGD"].scaled
    assert optimizers["AdamW"].scaled
    for one in found.optimizers:
        assert set(one.settings) <= set(found.knobs["settings"])
        assert one.about.endswith(".")
        assert "betas" in one.settings or not one.name.startswith("Adam")
    for scheme in found.schemes:
        assert set(scheme.options) <= set(found.knobs["options"]), scheme.name
        assert scheme.about
    schemes = {scheme.name: scheme for scheme in found.schemes}
    assert (schemes["kaiming_normal"].gain, schemes["kaiming_normal"].gained) == (True, True)
    assert (schemes["xavier_normal"].gain, schemes["xavier_normal"].gained) == (True, False)
    assert "fixup" not in {scheme.name for scheme in found.schemes}


def test_every_default_lies_within_its_knob():
    found = offers()
    for one in found.optimizers:
        msgspec.convert(one.settings, Settings)
    for scheme in found.schemes:
        msgspec.convert(scheme.options, Options)


def test_it_is_json():
    assert msgspec.json.decode(msgspec.json.encode(offers()))["samples"] > 0
