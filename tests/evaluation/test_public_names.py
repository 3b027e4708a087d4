"""The public names of packdepth.evaluation."""

from __future__ import annotations

import pytest

from packdepth import evaluation


@pytest.mark.parametrize("name", evaluation.__all__)
def test_a_public_name_is_documented_and_completed(name: str) -> None:
    value = getattr(evaluation, name)
    assert value.__name__ == name
    assert value.__doc__
    assert name in dir(evaluation)


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match=r"module 'packdepth\.evaluation' has no attribute 'protokol'"):
        evaluation.protokol  # noqa: B018
