"""The first event at which a condition holds, written in a small language over the state. It has no calls.

The language is a part of Python's: comparisons, `and`, `or`, `not`, `in`, `len(...)`, constants, the names of the
state's fields, and what is in them by `.name` or `["name"]`. A missing value is `None`, and is not less than anything.
"""

import ast
from collections.abc import Callable, Sized
from typing import Any

from rpds import HashTrieMap

from ..domain.state import State
from ..domain.values import Value
from ..journal.reader import Reader
from ..ports.past import Finding, Step
from ..ports.questions import NEVER
from .finding import step_of
from .replay import replay, state_at

LONGEST = 1000
NAMES = tuple(name for name in State.__struct_fields__ if name != "versions")
PROGRESS_EVERY = 1000

Test = Callable[[State], Any]


class ExpressionError(Exception):
    """An expression outside the language; the message says why."""


class FirstHolding(Finding, frozen=True):
    """Since when an expression holds."""

    seq: int
    step: Step | None
    """The event that made it so; none if it was so before the first event that was looked at."""


def first_holding(
    reader: Reader,
    expression: str,
    first: int = 1,
    last: int = NEVER - 1,
    progress: Callable[[int], None] = lambda seq: None,
) -> FirstHolding | None:
    """The first of the events `first` to `last` after which `expression` holds. Raises as `parse` and the reader do."""
    test = parse(expression)
    if test(state_at(reader, first - 1)):
        return FirstHolding(first - 1, None)
    for moment in replay(reader, first, last):
        if test(moment.after):
            return FirstHolding(moment.recorded.seq, step_of(moment.recorded))
        if moment.recorded.seq % PROGRESS_EVERY == 0:
            progress(moment.recorded.seq)
    return None


def parse(expression: str) -> Callable[[State], bool]:
    """The expression as a test of states. Raises `ExpressionError`, and so does the test for a field there is not."""
    if len(expression) > LONGEST:
        raise ExpressionError(f"the expression is longer than {LONGEST} characters")
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
        test = _compile(tree)
    except (SyntaxError, ValueError) as error:
        raise ExpressionError(f"cannot be read as an expression: {getattr(error, 'msg', error)}") from None
    except (RecursionError, MemoryError):
        raise ExpressionError("the expression is nested too deeply") from None
    return lambda state: bool(test(state))


def _compile(node: ast.expr) -> Test:
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as constant):
            return lambda state: constant
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return lambda state: -number
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            parts = [_compile(element) for element in elements]
            return lambda state: tuple(part(state) for part in parts)
        case ast.Name(id=name):
            if name not in NAMES:
                raise ExpressionError(f"the state has no {name!r}; it has {', '.join(NAMES)}")
            return lambda state: getattr(state, name)
        case ast.Attribute(value=value, attr=field):
            held = _compile(value)
            return lambda state: _get(held(state), field)
        case ast.Subscript(value=value, slice=index):
            held, key = _compile(value), _compile(index)
            return lambda state: _get(held(state), key(state))
        case ast.Call(func=ast.Name(id="len"), args=[argument], keywords=[]):
            counted = _compile(argument)
            return lambda state: _len(counted(state))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            denied = _compile(operand)
            return lambda state: not denied(state)
        case ast.BoolOp(op=operator, values=values):
            tests = [_compile(value) for value in values]
            how = all if isinstance(operator, ast.And) else any
            return lambda state: how(test(state) for test in tests)
        case ast.Compare(left=left, ops=operators, comparators=others):
            sides = [_compile(side) for side in (left, *others)]
            compared = [_comparison(operator) for operator in operators]
            return lambda state: all(
                compare(sides[i](state), sides[i + 1](state)) for i, compare in enumerate(compared)
            )
        case _:
            raise ExpressionError(f"{ast.unparse(node)[:60]!r} is not allowed in an expression")


def _comparison(operator: ast.cmpop) -> Callable[[Any, Any], bool]:
    compare = _COMPARISONS.get(type(operator))
    if compare is None:
        raise ExpressionError("compare with == != < <= > >= in, is and is not")

    def total(left: Any, right: Any) -> bool:
        try:
            return bool(compare(left, right))
        except TypeError:
            return False

    return total


_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Is: lambda a, b: a == b,
    ast.IsNot: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in (b or ()),
}


def _get(held: Any, key: Any) -> Any:
    """An entry of a map, a value or a list; None where it is missing."""
    if isinstance(held, HashTrieMap):
        return held.get(key) if isinstance(key, str) else None
    if isinstance(held, Value):
        if key not in held.__struct_fields__:
            known = ", ".join(held.__struct_fields__)
            raise ExpressionError(f"there is no {key!r} in a {type(held).__name__.lower()}; there are {known}")
        return getattr(held, key)
    if isinstance(held, tuple) and isinstance(key, int):
        return held[key] if -len(held) <= key < len(held) else None
    return None


def _len(held: Any) -> int:
    return len(held) if isinstance(held, Sized) else 0
