"""The optional fields of samples: each stands in the record, is read in one place, and says what a clip lacks."""

from __future__ import annotations

from dataclasses import fields

from packdepth.data.fields import FIELDS
from packdepth.objectives.term import TERMS
from packdepth.records import Outputs, Sample

FILLED_ALONG = {
    "network_right": "right",
    "baseline": "right",
    "camera_index": "cameras that are learned",
    "mirrored": "cameras that are learned",
    "focal_share": "windows",
    "whole_image": "windows",
    "whole_context": "windows",
}
REQUIRED = {"teacher": {"maps": "depth", "metric": True}}
"""What a run file must say of a term, by its kind."""


def test_every_optional_field_of_a_sample_is_read_by_one_entry() -> None:
    optional = {field.name for field in fields(Sample) if field.default is None}
    assert set(FIELDS) == optional - set(FILLED_ALONG)
    assert all(name == field.name for name, field in FIELDS.items())


def test_every_term_needs_fields_that_there_are_and_gets_its_scale_from_one_that_has_it() -> None:
    outputs = {field.name for field in fields(Outputs) if field.default is None}
    for kind, block in TERMS.own().items():
        term = block(kind=kind, **REQUIRED.get(kind, {}))
        assert set(term.needs) <= set(FIELDS) | outputs, kind
        assert term.metric_from is None or FIELDS[term.metric_from].scale is not None, kind
