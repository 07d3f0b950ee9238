"""The part of the parser for functions: with or without parentheses, powers and bases; sums, integrals, limits."""

from openmath.answers.combining import as_expression
from openmath.answers.enclosed import EnclosedParser
from openmath.answers.lexer import UnreadableError
from openmath.answers.trees import (
    EXPRESSIONS,
    FUNCTIONS,
    Apply,
    E,
    I,
    Items,
    Node,
    Number,
    Relation,
    Symbol,
    multiply,
    negate,
    substitute,
    variables,
)

_INVERSES = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot", "sec": "arcsec", "csc": "arccsc",
             "sinh": "arcsinh", "cosh": "arccosh", "tanh": "arctanh"}  # fmt: skip


class FunctionParser(EnclosedParser):
    """Parses what begins with the name of a function."""

    def call_arguments(self) -> list[Node]:
        self.expect("(")
        arguments = [as_expression(self.item())]
        while self.kind in (",", ";"):
            self.advance()
            arguments.append(as_expression(self.item()))
        self.expect(")")
        return arguments

    def function(self) -> Node:
        name = self.advance()
        base: Node | None = None
        exponent: Node | None = None
        while self.kind in ("_", "^"):
            if self.kind == "_":
                self.advance()
                base = self.argument()
            else:
                self.advance()
                exponent = self.exponent()
        arguments = self.function_arguments(name)
        return _function(name, arguments, base, exponent)

    def function_arguments(self, name: str) -> list[Node]:
        if self.kind == "(":
            return self.call_arguments()
        if self.kind == "set{":
            inside = self.set_braces()
            return list(inside.items) if isinstance(inside, Items) else [inside]
        if self.kind == "-":
            self.advance()
            return [negate(self.power())]
        factors = [self.power()]
        while self.starts_factor() and self.kind not in ("f", "(", "[", "{", "big", "begin"):
            if self.kind == "n":
                raise UnreadableError
            factors.append(self.power())
        if self.kind == "/" and name in FUNCTIONS and self.peek()[0] == "n" and self.is_pi(factors):
            self.advance()
            return [Apply("/", (multiply(*factors), self.power()))]
        return [multiply(*factors)]

    @staticmethod
    def is_pi(factors: list[Node]) -> bool:
        """``\\sin\\pi/4`` means the sine of a quarter of pi: the other reading would be zero."""
        return factors[-1] == Symbol("\\pi")

    def big_operator(self) -> Node:
        """Sums, products, integrals and limits: op(body, variable, lower, upper)."""
        name = self.advance()
        lower: Node | None = None
        upper: Node | None = None
        while self.kind in ("_", "^"):
            if self.kind == "_":
                self.advance()
                lower = self.limit_argument() if name == "lim" else self.argument()
            else:
                self.advance()
                upper = self.exponent()
        if name == "int":
            return self.integral(lower, upper)
        body = self.product() if name != "lim" else self.sum()
        if name == "lim":
            if not isinstance(lower, Relation):
                raise UnreadableError
            return _bound("lim", body, *lower.sides)
        if not isinstance(lower, Relation) or lower.ops != ("=",) or upper is None:
            raise UnreadableError
        return _bound(name, body, lower.sides[0], lower.sides[1], upper)

    def limit_argument(self) -> Node:
        self.expect("{")
        variable = self.sum()
        if self.kind != "to":
            raise UnreadableError
        self.advance()
        target = self.sum()
        self.expect("}")
        return Relation((variable, target), ("=",))

    def integral(self, lower: Node | None, upper: Node | None) -> Node:
        start = self.position
        depth = 0
        for index in range(start, len(self.tokens) - 1):
            kind, value = self.tokens[index]
            depth += kind in ("{", "(") or -(kind in ("}", ")"))
            following = self.tokens[index + 1]
            if depth == 0 and kind == "s" and value == "d" and following[0] == "s":
                end: int = index
                break
            if depth == 0 and kind == "w" and len(value) == 2 and value[0] == "d":
                self.tokens[index : index + 1] = [("s", "d"), ("s", value[1])]
                end = index
                break
        else:
            return self.integral_of_fraction(lower, upper)
        inner = type(self)([*self.tokens[start:end]])
        body = inner.sum() if end > start else Number(1)
        if end > start and inner.kind:
            raise UnreadableError
        variable = Symbol(self.tokens[end + 1][1])
        self.back_to(end + 2)
        if lower is None or upper is None:
            return Apply("int", (body, variable))
        return _bound("int", body, variable, lower, upper)

    def integral_of_fraction(self, lower: Node | None, upper: Node | None) -> Node:
        """``\\int \\frac{dx}{x}``: the differential stands in the numerator."""
        for index in range(self.position, len(self.tokens) - 1):
            kind, value = self.tokens[index]
            if kind == "w" and len(value) == 2 and value[0] == "d" and self.tokens[index - 1][0] == "{":
                self.tokens[index] = ("n", "1")
                body = self.product()
                if lower is None or upper is None:
                    return Apply("int", (body, Symbol(value[1])))
                return _bound("int", body, Symbol(value[1]), lower, upper)
        raise UnreadableError


def _function(name: str, arguments: list[Node], base: Node | None, exponent: Node | None) -> Node:
    if name == "cbrt":
        tree: Node = Apply("root", (arguments[0], Number(3)))
    elif name == "cis":
        tree = Apply("^", (Symbol(E), multiply(Symbol(I), arguments[0])))
    elif name == "lg":
        tree = Apply("log", (arguments[0], Number(10)))
    elif name == "exp":
        tree = Apply("^", (Symbol(E), arguments[0]))
    elif exponent == Number(-1) and name in _INVERSES:
        return Apply(_INVERSES[name], tuple(arguments))
    elif name == "log" and base is not None:
        tree = Apply("log", (arguments[0], base))
    elif base is not None:
        raise UnreadableError
    else:
        tree = Apply(name, tuple(arguments))
    if any(not isinstance(argument, EXPRESSIONS) for argument in arguments) and name != "det":
        raise UnreadableError
    return tree if exponent is None else Apply("^", (tree, exponent))


def _bound(name: str, body: Node, variable: Node, *limits: Node) -> Node:
    """A sum, product, integral or limit; its variable gets a name by depth, since any letter would do."""
    if not isinstance(variable, Symbol) or not isinstance(body, EXPRESSIONS):
        raise UnreadableError
    depth = sum(1 for letter in variables(body) if letter.startswith("bound "))
    inner = Symbol(f"bound {depth}")
    return Apply(
        name, (substitute(_subscripts(body, variable.name, inner.name), {variable.name: inner}), inner, *limits)
    )


def _subscripts(tree: Node, old: str, new: str) -> Node:
    """Rename a bound variable where it is an index of letters: ``a_k``."""
    old = {I: "i", E: "e"}.get(old, old)
    if isinstance(tree, Symbol) and tree.name.endswith(f"_{old}"):
        return Symbol(f"{tree.name.removesuffix(old)}{new}")
    if isinstance(tree, Apply):
        return Apply(tree.op, tuple(_subscripts(arg, old, new) for arg in tree.args))
    return tree
