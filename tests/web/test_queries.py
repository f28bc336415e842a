"""Query parameters: typed, bounded, and refused by name."""

from typing import Annotated, Literal

import msgspec
import pytest
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest

from web.queries import MAX_SEQ, Query, SequenceNumber, parameters, parse_query


class Asked(Query, frozen=True, rename={"since": "from"}):
    since: str | None = None
    after: SequenceNumber | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=9, description="How many.")] = 5
    age: Annotated[float, msgspec.Meta(ge=0, le=1.5)] | None = None
    order: Literal["up", "down"] = "up"


class Tolerant(Query, frozen=True, forbid_unknown_fields=False):
    confirm: str = ""


def test_query_without_parameters_has_the_defaults() -> None:
    """Every parameter is optional."""
    assert parse_query(Asked, MultiDict()) == Asked()


def test_parameters_are_converted_by_their_types() -> None:
    """A field may have another name than its parameter, which may be a keyword of Python."""
    args = {"from": "12:00", "after": str(MAX_SEQ), "limit": "9", "age": "1.25", "order": "down"}
    assert parse_query(Asked, MultiDict(args)) == Asked(since="12:00", after=MAX_SEQ, limit=9, age=1.25, order="down")


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("limt", "1", "there is no parameter 'limt' here; known: from, after, limit, age, order"),
        ("since", "1", "there is no parameter 'since' here; known: from, after, limit, age, order"),
        ("after", "-1", f"after must be a whole number from 0 to {MAX_SEQ}, not '-1'"),
        ("after", str(MAX_SEQ + 1), f"after must be a whole number from 0 to {MAX_SEQ}, not '{MAX_SEQ + 1}'"),
        ("limit", "0", "limit must be a whole number from 1 to 9, not '0'"),
        ("limit", "1_0", "limit must be a whole number from 1 to 9, not '1_0'"),
        ("limit", "٣", "limit must be a whole number from 1 to 9, not '٣'"),
        ("age", "1.6", "age must be a number from 0 to 1.5, not '1.6'"),
        ("age", "nan", "age must be a number from 0 to 1.5, not 'nan'"),
        ("age", "1e0", "age must be a number from 0 to 1.5, not '1e0'"),
        ("order", "sideways", "order must be down or up, not 'sideways'"),
    ],
)
def test_wrong_parameter_is_refused_by_name(name: str, value: str, detail: str) -> None:
    """The error names the parameter, the bounds and the value."""
    with pytest.raises(BadRequest) as refused:
        parse_query(Asked, MultiDict({name: value}))
    assert refused.value.description == detail


def test_tolerant_query_ignores_unknown_parameters() -> None:
    """Programs add parameters to URLs of images, so that no cache answers."""
    args = MultiDict([("t", "123"), ("t", "4"), ("confirm", "yes")])
    assert parse_query(Tolerant, args) == Tolerant(confirm="yes")


@pytest.mark.parametrize("kind", [Asked, Tolerant])
@pytest.mark.parametrize("second", ["1", "2"])
def test_parameter_that_is_given_twice_is_refused(kind: type[Query], second: str) -> None:
    """Also with the same value: two programs could take different ones."""
    name = parameters(kind)[-1].name
    with pytest.raises(BadRequest) as refused:
        parse_query(kind, MultiDict([(name, "1"), (name, second)]))
    assert refused.value.description == f"the parameter {name} is given twice"


def test_parameters_have_their_meanings() -> None:
    """The description of a field is that of its parameter."""
    assert [each.meaning for each in parameters(Asked)] == ["", "", "How many.", "", ""]


class ListQuery(Query, frozen=True):
    name: tuple[str, ...] = ()


def test_list_takes_several_values_up_to_its_limit() -> None:
    """In the order in which they are given."""
    assert parse_query(ListQuery, MultiDict()).name == ()
    assert parse_query(ListQuery, MultiDict([("name", "b"), ("name", "a")])).name == ("b", "a")
    with pytest.raises(BadRequest, match="more than 64 times"):
        parse_query(ListQuery, MultiDict([("name", "a")] * 65))
