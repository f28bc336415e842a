"""The field of a JSON object that is given twice."""

import pytest

from supervisor.domain.json_fields import doubled_field


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"a":1,"b":2,"a":3}', "a"),
        ('{"a" :1,\n"\\u0061"\t: 1}', "a"),
        ('{"\\"":1,"b":"\\":","\\"":2}', '"'),
        ('{"a":1,"b":"a","c":["a","a"]}', None),
        ('{"a":"\\"a\\":1,\\"a\\":2","b":"\\\\"}', None),
        ('{"":1,"":2}', ""),
        ('["a","a"]', None),
        ("{}", None),
        ("1", None),
    ],
)
def test_field_that_is_given_twice_is_found(text: str, name: str | None) -> None:
    """By its name, however it is escaped; texts inside of strings and lists are no fields."""
    assert doubled_field(text) == doubled_field(text.encode()) == name
