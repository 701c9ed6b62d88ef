"""Products of two matrices, eight rows by eight columns at a time, kept in vector registers.

    tile = sum_k left[k, i : i + 8]^T right[k, j : j + 8]

Each k takes eight numbers of either matrix to 64 products (register blocking; Goto and van de
Geijn, Anatomy of high-performance matrix multiplication, 2008). All that is heavy in the solver is
such a tile, or one subtracted: J^T J, Cholesky's factorisation, elimination. LLVM makes such code
of no loop that Numba hands it (dot products end in sums across a register, which cost as much as
the products of these sizes), so the vector instructions are written here; LLVM turns them into
those of any processor.

Matrices have contiguous rows of whole tiles, all of one type, float32 or float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

SIDE = 8
_FEW_PLACES = 64  # numbers
# Sums may be reordered and contracted, as everywhere in the solver (`triangular.SUMS`).
_FLAGS = ("contract", "reassoc", "nsz")
# Without types.
_BUILDING: Any = cgutils
_INDEX, _LANE = ir.IntType(64), ir.IntType(32)
_SET, _SUBTRACT, _ELIMINATE, _FACTOR = "set", "subtract", "eliminate", "factor"


@njit(cache=True)
def padded(size: int) -> int:
    """The next multiple of a tile's side.

    Parameters
    ----------
    size : a number of rows or columns
    """
    return (size + SIDE - 1) // SIDE * SIDE


def stride(columns: int) -> int:
    """How long the rows of a matrix should be, so that tiles down its columns stay in the cache.

    Rows that begin at multiples of 64 numbers share few places of it. A multiple of a tile's side.

    Parameters
    ----------
    columns : how many of them count
    """
    length = int(padded(columns))
    return length if length % _FEW_PLACES else length + SIDE


def _checked(*arrays: Any) -> None:
    """Raise TypingError unless arrays have contiguous rows and one type, which nothing else asks.

    A kernel that got others would read and write where it should not.
    """
    kinds = {array.dtype for array in arrays}
    if any(array.layout != "C" for array in arrays) or len(kinds) > 1:
        raise TypingError(f"tiles are of C-contiguous arrays of one type, not {arrays}")


def _lane(number: int) -> Any:
    return ir.Constant(_LANE, number)


class _Writer:
    """Writes vector instructions; a matrix is where it begins and how long its rows are."""

    def __init__(self, context: Any, builder: Any, kinds: Any, values: Any) -> None:
        self.builder = builder
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(kinds, values, strict=True)
            if isinstance(kind, types.Array)
        ]
        self.arrays = [
            (each.data, _BUILDING.unpack_tuple(builder, each.shape)[-1]) for each in arrays
        ]
        self.indices = values[len(arrays) :]
        self.number = context.get_data_type(kinds[0].dtype)
        self.vector = ir.VectorType(self.number, SIDE)
        self.align = context.get_abi_sizeof(self.number)

    def plus(self, index: Any, more: int) -> Any:
        return self.builder.add(index, ir.Constant(_INDEX, more))

    def place(self, array: tuple[Any, Any], row: Any, column: Any) -> Any:
        start, length = array
        offset = self.builder.add(self.builder.mul(row, length), column)
        return self.builder.gep(start, [offset], inbounds=True)

    def down(self, array: tuple[Any, Any], row: Any, column: Any) -> list[Any]:
        """The places of eight rows."""
        return [self.place(array, self.plus(row, a), column) for a in range(SIDE)]

    def load(self, place: Any) -> Any:
        pointer = self.builder.bitcast(place, self.vector.as_pointer())
        return self.builder.load(pointer, align=self.align)

    def store(self, row: Any, place: Any) -> None:
        pointer = self.builder.bitcast(place, self.vector.as_pointer())
        self.builder.store(row, pointer, align=self.align)

    def spread(self, place: Any, at: int = 0) -> Any:
        """The number behind a place, in every lane of a vector."""
        there = self.builder.gep(place, [ir.Constant(_INDEX, at)], inbounds=True)
        return self.all_lanes(self.builder.load(there))

    def all_lanes(self, number: Any) -> Any:
        nothing = ir.Constant(self.vector, ir.Undefined)
        return self.shuffled(self.builder.insert_element(nothing, number, _lane(0)), [0] * SIDE)

    def shuffled(self, a: Any, lanes: list[int], b: Any = None) -> Any:
        mask = ir.Constant(ir.VectorType(_LANE, SIDE), lanes)
        other = ir.Constant(self.vector, ir.Undefined) if b is None else b
        return self.builder.shuffle_vector(a, other, mask)

    def plus_product(self, total: Any, a: Any, b: Any) -> Any:
        return self.builder.fadd(total, self.times(a, b), flags=_FLAGS)

    def times(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b, flags=_FLAGS)

    def less(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=_FLAGS)

    def sums(
        self, start: Any, stop: Any, step: int, terms: Callable[[Any], list[Any]]
    ) -> list[Any]:
        """Sums of products over a loop; terms gives the eight pairs at an index."""
        builder, zero = self.builder, ir.Constant(self.vector, None)
        totals = [_BUILDING.alloca_once_value(builder, zero) for _ in range(SIDE)]
        with _BUILDING.for_range_slice(builder, start, stop, ir.Constant(_INDEX, step)) as (k, _):
            for total, (a, b) in zip(totals, terms(k), strict=True):
                builder.store(self.plus_product(builder.load(total), a, b), total)
        return [builder.load(total) for total in totals]

    def added_up(self, rows: list[Any]) -> Any:
        """One vector with the sum of each of eight in its lane.

        Half the vectors at a time: lanes of two are added crosswise, first neighbours, then pairs,
        then halves.
        """
        for width in (1, 2, 4):
            first = [lane if not lane & width else lane - width + SIDE for lane in range(SIDE)]
            rows = [
                self.builder.fadd(
                    self.shuffled(a, first, b),
                    self.shuffled(a, [lane + width for lane in first], b),
                    flags=_FLAGS,
                )
                for a, b in zip(rows[::2], rows[1::2], strict=True)
            ]
        return rows[0]


def _write_tile(kind: str, writer: _Writer) -> Any:
    """Products, what they are subtracted from, and what is done with the rest."""
    (out, left, right), (i, j, count) = writer.arrays, writer.indices

    def terms(k: Any) -> list[Any]:
        first, row = writer.place(left, k, i), writer.load(writer.place(right, k, j))
        return [(writer.spread(first, a), row) for a in range(SIDE)]

    rows = writer.sums(ir.Constant(_INDEX, 0), count, 1, terms)
    places, positive = writer.down(out, i, j), None
    if kind != _SET:
        rows = [writer.less(writer.load(p), row) for p, row in zip(places, rows, strict=True)]
    if kind == _ELIMINATE:
        _write_elimination(writer, writer.down(left, i, i), rows)
    if kind == _FACTOR:
        positive = _write_factor(writer, rows)
    for place, row in zip(places, rows, strict=True):
        writer.store(row, place)
    return positive


def _write_elimination(writer: _Writer, corner: list[Any], rows: list[Any]) -> None:
    """rows = U^-T rows: x_a = r_a / U_aa, and r_b -= U_ab x_a for the rows behind."""
    for a in range(SIDE):
        rows[a] = writer.times(writer.spread(corner[a], a), rows[a])
        for b in range(a + 1, SIDE):
            rows[b] = writer.less(rows[b], writer.times(writer.spread(corner[a], b), rows[a]))


def _write_factor(writer: _Writer, rows: list[Any]) -> Any:
    """rows = U: u_a = r_a / root(r_aa), and r_b -= u_ab u_a; whether all r_aa > 0."""
    builder = writer.builder
    root = builder.module.declare_intrinsic("llvm.sqrt", [writer.number])
    one, zero = ir.Constant(writer.number, 1.0), ir.Constant(writer.number, 0.0)
    positive = ir.Constant(ir.IntType(1), 1)
    for a in range(SIDE):
        corner = builder.extract_element(rows[a], _lane(a))
        positive = builder.and_(positive, builder.fcmp_ordered(">", corner, zero))
        reciprocal = builder.fdiv(one, builder.call(root, [corner]))
        rows[a] = writer.times(writer.all_lanes(reciprocal), rows[a])
        for b in range(a + 1, SIDE):
            share = writer.shuffled(rows[a], [b] * SIDE)
            rows[b] = writer.less(rows[b], writer.times(share, rows[a]))
        rows[a] = builder.insert_element(rows[a], reciprocal, _lane(a))
    return positive


def _tile(kind: str) -> Callable[..., Any]:
    """The kernel that does one thing with a tile's products."""

    def typed(
        context: Any, out: Any, left: Any, right: Any, i: Any, j: Any, count: Any
    ) -> tuple[Any, Callable[..., Any]]:
        _checked(out, left, right)
        returned = types.boolean if kind == _FACTOR else types.void
        signature = returned(out, left, right, types.intp, types.intp, types.intp)

        def lowered(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            done = _write_tile(kind, _Writer(context, builder, signature.args, values))
            return context.get_dummy_value() if done is None else done

        return signature, lowered

    return intrinsic(typed)


# Each takes (out, left, right, i, j, count): three matrices, the first row and column of out's
# tile, which are the columns of left and right too, and over how many rows k is summed.
# out's tile = the product.
set_tile = _tile(_SET)
# out's tile -= the product.
subtract_tile = _tile(_SUBTRACT)
# out's tile = U^-T (tile - product), U the tile of left at (i, i), its diagonal as reciprocals.
eliminate_tile = _tile(_ELIMINATE)
# For the tile of the diagonal, i = j: out's tile = U with U^T U = tile - product, its diagonal as
# reciprocals; whether there is one.
factor_tile = _tile(_FACTOR)


def _vector(terms: Callable[..., list[Any]], gathered: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel that takes products of a matrix a with a vector b from eight numbers of b."""

    def typed(
        context: Any, a: Any, b: Any, i: Any, start: Any, stop: Any
    ) -> tuple[Any, Callable[..., Any]]:
        _checked(a, b)
        signature = types.void(a, b, types.intp, types.intp, types.intp)

        def lowered(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            writer = _Writer(context, builder, signature.args, values)
            (a, b), (i, start, stop) = writer.arrays, writer.indices
            zero = ir.Constant(_INDEX, 0)
            rows = writer.sums(
                start, stop, SIDE, lambda k: terms(writer, a, i, k, writer.place(b, zero, k))
            )
            place = writer.place(b, zero, i)
            writer.store(writer.less(writer.load(place), gathered(writer, rows)), place)
            return context.get_dummy_value()

        return signature, lowered

    return intrinsic(typed)


def _by_columns(writer: _Writer, a: Any, i: Any, k: Any, b: Any) -> list[Any]:
    rows = writer.down(a, k, i)
    return [(writer.spread(b, p), writer.load(row)) for p, row in enumerate(rows)]


def _by_rows(writer: _Writer, a: Any, i: Any, k: Any, b: Any) -> list[Any]:
    part = writer.load(b)
    return [(writer.load(row), part) for row in writer.down(a, i, k)]


def _total(writer: _Writer, rows: list[Any]) -> Any:
    while len(rows) > 1:
        rows = [
            writer.builder.fadd(x, y, flags=_FLAGS)
            for x, y in zip(rows[::2], rows[1::2], strict=True)
        ]
    return rows[0]


# Each takes (a, b, i, start, stop), with start and stop at whole tiles.
# b[i : i + 8] -= a[start : stop, i : i + 8]^T b[start : stop].
subtract_columns = _vector(_by_columns, _total)
# b[i : i + 8] -= a[i : i + 8, start : stop] b[start : stop].
subtract_rows = _vector(_by_rows, _Writer.added_up)


def _write_dots(writer: _Writer, a: Any, b: Any, rows: list[Any]) -> Any:
    """The products of eight rows of a, by their numbers, with b."""
    builder, zero, length = writer.builder, ir.Constant(_INDEX, 0), a[1]
    whole = builder.and_(length, ir.Constant(_INDEX, -SIDE))

    def terms(k: Any) -> list[Any]:
        part = writer.load(writer.place(b, zero, k))
        return [(writer.load(writer.place(a, row, k)), part) for row in rows]

    sums = writer.sums(zero, whole, SIDE, terms)
    # The last numbers of a row come with some before them, which were counted already.
    end = writer.plus(length, -SIDE)
    lanes = ir.Constant(ir.VectorType(_INDEX, SIDE), list(range(SIDE)))
    counted = ir.Constant(ir.VectorType(_INDEX, SIDE), ir.Undefined)
    counted = builder.insert_element(counted, builder.sub(whole, end), _lane(0))
    counted = writer.shuffled(counted, [0] * SIDE, counted)
    part = builder.select(
        builder.icmp_signed("<", lanes, counted),
        ir.Constant(writer.vector, None),
        writer.load(writer.place(b, zero, end)),
    )
    ends = [writer.load(writer.place(a, row, end)) for row in rows]
    sums = [writer.plus_product(x, y, part) for x, y in zip(sums, ends, strict=True)]
    return writer.added_up(sums)


def _typed_dots(
    context: Any, a: Any, b: Any, out: Any, row: Any, at: Any
) -> tuple[Any, Callable[..., Any]]:
    """out[at : at + 8] = a[row : row + 8] b; rows of eight or more, counted over leading axes."""
    _checked(a, b, out)
    signature = types.void(a, b, out, types.intp, types.intp)

    def lowered(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        writer = _Writer(context, builder, signature.args, values)
        (a, b, out), (row, at) = writer.arrays, writer.indices
        found = _write_dots(writer, a, b, [writer.plus(row, each) for each in range(SIDE)])
        writer.store(found, writer.place(out, ir.Constant(_INDEX, 0), at))
        return context.get_dummy_value()

    return signature, lowered


def _typed_scattered_dots(
    context: Any, a: Any, b: Any, out: Any, rows: Any, at: Any
) -> tuple[Any, Callable[..., Any]]:
    """out[at : at + 8] = a[rows[at : at + 8]] b; rows: of type intp, otherwise as `set_dots`."""
    _checked(a, b, out)
    signature = types.void(a, b, out, types.Array(types.intp, 1, "C"), types.intp)

    def lowered(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        writer = _Writer(context, builder, signature.args, values)
        (a, b, out, numbers), (at,) = writer.arrays, writer.indices
        zero = ir.Constant(_INDEX, 0)
        places = [writer.place(numbers, zero, writer.plus(at, each)) for each in range(SIDE)]
        found = _write_dots(writer, a, b, [builder.load(place) for place in places])
        writer.store(found, writer.place(out, zero, at))
        return context.get_dummy_value()

    return signature, lowered


set_dots: Callable[..., Any] = intrinsic(_typed_dots)
set_scattered_dots: Callable[..., Any] = intrinsic(_typed_scattered_dots)
