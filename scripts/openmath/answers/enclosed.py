"""The part of the parser for what is enclosed: brackets, sets, bars, matrices, cases, decorations."""

from openmath.answers.combining import as_expression, combine
from openmath.answers.cursor import Cursor
from openmath.answers.lexer import UnreadableError
from openmath.answers.trees import (
    EXPRESSIONS,
    Apply,
    Builder,
    Cases,
    Items,
    Matrix,
    NamedSet,
    Node,
    Relation,
    Symbol,
    Words,
)

_MATRICES = frozenset(("matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "array", "smallmatrix"))


class EnclosedParser(Cursor):
    """Parses groups of all brackets; knows of expressions only that there are some."""

    def group(self, opening: str, closing: str) -> Node:
        self.enter()
        self.expect(opening)
        bars, self.bars = self.bars, 0
        no_bars, self.no_bars = self.no_bars, False
        tree = self.listing(frozenset((closing,)))
        if self.kind in ("over", "choose"):
            op = self.kind
            self.advance()
            tree = Apply("/" if op == "over" else "binom", (tree, self.listing(frozenset((closing,)))))
        self.bars, self.no_bars = bars, no_bars
        self.expect(closing)
        self.depth -= 1
        return tree

    def braces(self) -> Node:
        closing = self.builder_end()
        if closing:
            self.tokens[closing] = ("set}", "")
            return self.set_braces()
        tree = self.group("{", "}")
        if isinstance(tree, Items) and not tree.opening:
            return Items("{", "}", tree.items)
        return tree

    def builder_end(self) -> int:
        """Where plain braces around ``x | x > 2`` close; 0 if they hold no such condition."""
        depth, bar, relation = 0, False, False
        for index in range(self.position, len(self.tokens)):
            kind = self.tokens[index][0]
            depth += (kind in ("{", "(", "[")) - (kind in ("}", ")", "]"))
            if depth == 0:
                return index if bar and relation else 0
            bar = bar or (depth == 1 and kind in ("|", "mid", ":"))
            relation = relation or (bar and kind == "rel")
        return 0

    def mark_condition(self) -> None:
        """A colon before a relation, as in ``{x : x > 2}``, is a bar."""
        colon = 0
        for index in range(self.position, len(self.tokens)):
            kind = self.tokens[index][0]
            if kind in ("set}", "|", "mid", "rel", ""):
                if kind == "rel" and colon:
                    self.tokens[colon] = ("mid", "")
                return
            if kind == ":":
                colon = colon or index

    def set_braces(self) -> Node:
        self.advance()
        if self.kind == "set}":
            self.advance()
            return Items("{", "}", ())
        self.mark_condition()
        bars, self.bars = self.bars, 0
        no_bars, self.no_bars = self.no_bars, True
        element = self.listing(frozenset(("set}",)))
        self.no_bars = no_bars
        tree: Node
        if self.kind in ("|", "mid", ":", "lbar", "rbar"):
            self.advance()
            condition = self.listing(frozenset(("set}",)))
            tree = Builder(element, condition)
        elif isinstance(element, Items) and not element.opening:
            tree = Items("{", "}", element.items)
        else:
            tree = Items("{", "}", (element,))
        self.bars = bars
        self.expect("set}")
        return tree

    def brackets(self) -> Node:
        """Parentheses and square brackets: a group of one item, or a tuple, point or interval of several."""
        opening = self.kind
        self.advance()
        bars, self.bars = self.bars, 0
        no_bars, self.no_bars = self.no_bars, False
        closers = frozenset((")", "]"))
        inside = self.listing(closers)
        self.bars, self.no_bars = bars, no_bars
        closing = self.kind
        if opening == "]" and closing == ")":
            raise UnreadableError
        if closing not in (")", "]") and not (closing == "[" and opening in "[]"):
            raise UnreadableError
        self.advance()
        several = isinstance(inside, Items) and not inside.opening
        if not several:
            if opening == "]" or closing == "[" or (opening == "[") != (closing == "]"):
                raise UnreadableError
            if opening == "[" and isinstance(inside, Items):
                return Items("[", "]", (inside,))
            return as_expression(inside)
        opening = {"]": "("}.get(opening, opening)
        closing = {"[": ")"}.get(closing, closing)
        assert isinstance(inside, Items)
        return Items(opening, closing, inside.items)

    def french_bracket(self) -> Node:
        if self.depth > 8:
            raise UnreadableError
        return self.brackets()

    def bars_atom(self) -> Node:
        """``|x|``; the bar that opens is known by where it stands."""
        kind = self.kind
        closer = {"|": "|", "lbar": "rbar", "norm": "norm"}[kind]
        self.advance()
        self.bars += 1
        inside = self.listing(frozenset((closer,)))
        self.bars -= 1
        if self.kind == closer or (kind == "lbar" and self.kind == "|") or (kind == "|" and self.kind == "rbar"):
            self.advance()
        else:
            raise UnreadableError
        if isinstance(inside, Matrix) and kind != "norm":
            return Apply("det", (inside,))
        if not isinstance(inside, EXPRESSIONS):
            raise UnreadableError
        return Apply("abs" if kind != "norm" else "norm", (inside,))

    def floor(self) -> Node:
        kind = self.kind
        self.advance()
        inside = self.sum()
        self.expect("r" + kind[1:])
        return Apply("floor" if kind == "lfloor" else "ceil", (inside,))

    def angle_brackets(self) -> Node:
        self.advance()
        inside = self.listing(frozenset(("rangle",)))
        self.expect("rangle")
        if not isinstance(inside, Items) or inside.opening:
            raise UnreadableError
        return Matrix(tuple((item,) for item in inside.items))

    def environment(self) -> Node:
        name = self.advance()
        if name not in _MATRICES and name not in ("cases", "aligned", "align", "gathered"):
            raise UnreadableError
        if name in ("aligned", "align", "gathered"):
            end = next((i for i in range(self.position, len(self.tokens)) if self.tokens[i][0] == "end"), self.position)
            self.tokens[self.position : end] = [token for token in self.tokens[self.position : end] if token[0] != "&"]
            self.back_to(self.position)
        rows: list[tuple[Node, ...]] = []
        row: list[Node] = []
        while True:
            if self.kind == "row":
                self.advance()
                if row:
                    rows.append(tuple(row))
                row = []
            elif self.kind == "&":
                self.advance()
            elif self.kind == "end":
                break
            elif not self.kind:
                raise UnreadableError
            else:
                row.append(self.cell(name) if name != "cases" else self.case(name))
        if row:
            rows.append(tuple(row))
        if self.advance() != name:
            raise UnreadableError
        if not rows:
            raise UnreadableError
        if name == "cases":
            if all(len(cells) == 1 for cells in rows):
                return combine([cells[0] for cells in rows], [","] * (len(rows) - 1))
            return Cases(tuple(rows))
        if name in ("aligned", "align", "gathered"):
            return combine([cell for cells in rows for cell in cells], [","] * (len(rows) - 1))
        if len({len(cells) for cells in rows}) != 1:
            raise UnreadableError
        if all(len(cells) == 1 and isinstance(cells[0], Relation) for cells in rows):
            return combine([cells[0] for cells in rows], [","] * (len(rows) - 1))
        matrix = Matrix(tuple(rows))
        return Apply("det", (matrix,)) if name == "vmatrix" else matrix

    def case(self, name: str) -> Node:
        """A cell of a definition by cases; a condition that is no formula is its words."""
        position, depth = self.position, self.depth
        try:
            tree = self.cell(name)
            if self.kind in ("&", "row", "end"):
                return tree
        except UnreadableError:
            pass
        self.back_to(position)
        self.depth = depth
        words = []
        while self.kind not in ("&", "row", "end", ""):
            words.append(self.tokens[self.position][1] or self.kind)
            self.advance()
        return Words(" ".join(words).lower())

    def cell(self, name: str) -> Node:
        if name == "cases":
            while self.kind in ("t", "w") and self.value().lower() in (
                "if",
                "for",
                "when",
                "where",
                "otherwise",
                "else",
            ):
                word = self.advance()
                if word.lower() in ("otherwise", "else"):
                    return Symbol("name otherwise")
            tree = self.item()
            while self.kind in (",", ";"):
                self.advance()
            if self.kind in ("t", "w", "and", "or") and self.value().lower() in ("if", "for", "when", "where"):
                self.tokens[self.position] = ("&", "")
                self.back_to(self.position)
            return tree
        return self.item()

    def named_set(self) -> Node:
        name = self.advance()
        if self.kind == "_":
            self.advance()
            if self.kind == "{":
                self.advance()
                sign = self.value() or self.kind
                self.advance()
                if self.kind == "n":
                    if self.advance() != "0":
                        raise UnreadableError
                    sign = {">": "+", "<": "-"}.get(sign, sign)
                self.expect("}")
            else:
                sign = self.kind
                self.advance()
            if sign not in ("+", "-"):
                raise UnreadableError
            return NamedSet(name + sign)
        return NamedSet(name)

    def empty_set(self) -> Node:
        self.advance()
        return Items("{", "}", ())

    def dots(self) -> Node:
        self.advance()
        return Symbol("dots")

    def angle(self) -> Node:
        self.advance()
        letters = []
        while self.kind in ("s", "w", "n", "t"):
            letters.append(self.advance())
        if not letters:
            raise UnreadableError
        return Symbol("angle " + "".join(letters))
