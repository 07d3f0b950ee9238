"""Points, vectors and matrices within expressions: multiples, sums, transposes, determinants, unit vectors."""

from collections.abc import Sequence

from openmath.answers.trees import (
    Apply,
    I,
    Items,
    Matrix,
    Node,
    Number,
    Symbol,
    add,
    multiply,
    substitute,
    symbols,
)  # fmt: skip


def spread(tree: Apply) -> Node | None:
    """A product of a number and one vector, matrix or point, carried out; a determinant; None for anything else."""
    if tree.op == "det" and isinstance(tree.args[0], Matrix):
        return determinant(tree.args[0].rows)
    if tree.op == "/" and isinstance(tree.args[0], Apply):
        return spread(Apply("*", (Apply("/", (Number(1), tree.args[1])), *factors(tree.args[0]))))
    if tree.op == "^" and tree.args[1] == Symbol("T"):
        return transposed(tree.args[0])
    if tree.op == "+":
        return added([spread(arg) if isinstance(arg, Apply) else arg for arg in tree.args])
    if tree.op != "*":
        return None
    holders = [arg for arg in tree.args if isinstance(arg, (Items, Matrix))]
    if len(holders) != 1:
        return None
    holder = holders[0]
    scalars = tuple(arg for arg in tree.args if arg is not holder)
    if isinstance(holder, Items):
        labelled = len(scalars) == 1 and isinstance(scalars[0], Symbol) and scalars[0].name[0].isupper()
        if labelled:
            return holder
        return Items(holder.opening, holder.closing, tuple(multiply(*scalars, item) for item in holder.items))
    return Matrix(tuple(tuple(multiply(*scalars, cell) for cell in row) for row in holder.rows))


def added(parts: Sequence[Node | None]) -> Node | None:
    """The sum of points or of matrices of one shape."""
    first = parts[0]
    if (
        isinstance(first, Items)
        and first.opening
        and all(isinstance(part, Items) and len(part.items) == len(first.items) for part in parts)
    ):
        rows = [part.items for part in parts if isinstance(part, Items)]
        return Items(first.opening, first.closing, tuple(add(*entries) for entries in zip(*rows, strict=True)))
    if isinstance(first, Matrix) and all(
        isinstance(part, Matrix) and len(part.rows) == len(first.rows) for part in parts
    ):
        grids = [part.rows for part in parts if isinstance(part, Matrix)]
        if len({len(row) for grid in grids for row in grid}) == 1:
            return Matrix(
                tuple(tuple(add(*cells) for cells in zip(*rows, strict=True)) for rows in zip(*grids, strict=True))
            )
    return None


def transposed(tree: Node) -> Node | None:
    if isinstance(tree, Items) and tree.opening in ("(", "["):
        return Matrix(tuple((item,) for item in tree.items))
    return Matrix(tuple(zip(*tree.rows, strict=True))) if isinstance(tree, Matrix) else None


def determinant(rows: tuple[tuple[Node, ...], ...]) -> Node | None:
    """The determinant of a square matrix of at most four rows, as an expression; None for any other."""
    return _expanded(rows) if len(rows) <= 4 and all(len(row) == len(rows) for row in rows) else None


def _expanded(rows: tuple[tuple[Node, ...], ...]) -> Node:
    if len(rows) == 1:
        return rows[0][0]
    minors = [tuple(row[:index] + row[index + 1 :] for row in rows[1:]) for index in range(len(rows))]
    return add(*(multiply(Number((-1) ** index), cell, _expanded(minors[index])) for index, cell in enumerate(rows[0])))


def factors(tree: Node) -> tuple[Node, ...]:
    return tree.args if isinstance(tree, Apply) and tree.op == "*" else (tree,)


def vector(matrix: Matrix) -> tuple[Node, ...] | None:
    if len(matrix.rows) == 1:
        return matrix.rows[0]
    return tuple(row[0] for row in matrix.rows) if len(matrix.rows[0]) == 1 else None


def chosen_of(tree: Node) -> Node | None:
    """``C(n, k)`` as a binomial coefficient."""
    if isinstance(tree, Apply) and tree.op == "*" and len(tree.args) == 2 and tree.args[0] == Symbol("C"):
        items = tree.args[1]
        if isinstance(items, Items) and len(items.items) == 2:
            return Apply("binom", items.items)
    return None


UNIT_VECTORS = ("unit i", "unit j", "unit k")


def has_unit_vectors(tree: Node) -> bool:
    return not symbols(tree).isdisjoint(UNIT_VECTORS)


def plain_letters(tree: Node) -> Node:
    return substitute(tree, {"unit i": Symbol(I), "unit j": Symbol("j"), "unit k": Symbol("k")})


def components(tree: Node, count: int) -> list[Node] | None:
    """The coefficients of the unit vectors in an expression; None if there are none."""
    if not has_unit_vectors(tree) or count > 3:
        return None
    names = UNIT_VECTORS[:count]
    return [substitute(tree, {name: Number(int(name == chosen)) for name in names}) for chosen in names]
