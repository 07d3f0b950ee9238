"""Tables of notation: what signs, commands and words of LaTeX, Unicode and plain text mean as tokens."""

Token = tuple[str, str]

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣʸᵏᵐᵃᵇᵗ", "0123456789+-=()nixykmabt")
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋ₙₖₘᵢₐₓ", "0123456789+-nkmiax")
UNICODE = str.maketrans({
    **dict.fromkeys("−‒–—﹣－‐‑", "-"), **dict.fromkeys("×✕⋅·∙•∗", r"\cdot "), "÷": "/", "∕": "/", "⁄": "/", "／": "/",
    **dict.fromkeys("\u00a0\u2009\u200a\u202f\u2007\u2002\u2003\u3000\u2005\u2006", " "),
    **dict.fromkeys("\u200b\u200c\u200d\ufeff\u2061\u2062\u2063\u2064", ""),
    **dict.fromkeys("′’‘ʼ`", "'"), **dict.fromkeys("″”“", '"'), **dict.fromkeys("°º˚", r"^\circ "),
    "≤": r"\le ", "⩽": r"\le ", "≦": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≧": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "≅": r"\approx ", "≡": r"\equiv ", "∪": r"\cup ", "⋃": r"\cup ", "∩": r"\cap ", "∖": r"\setminus ", "∈": r"\in ",
    "±": r"\pm ", "∓": r"\mp ", "∞": r"\infty ", "∅": r"\emptyset ", "⌀": r"\emptyset ", "π": r"\pi ", "𝜋": r"\pi ",
    "∑": r"\sum ", "∏": r"\prod ", "∫": r"\int ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    **dict.fromkeys("⟨〈", r"\langle "), **dict.fromkeys("⟩〉", r"\rangle "), "∠": r"\angle ", "△": r"\triangle ",
    "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}", "∣": r"\mid ",
    "…": r"\dots ", "⋯": r"\dots ", "→": r"\to ", "⇒": r"\to ", "∧": " and ", "∨": " or ", "，": ", ", "；": ";",
    "：": ":", "（": "(", "）": ")", "％": "%", "≔": "=", "＝": "=", "＋": "+", "ı": "i", "ℯ": "e", "ⅇ": "e", "ⅈ": "i",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "ε": r"\epsilon ", "ζ": r"\zeta ",
    "η": r"\eta ", "θ": r"\theta ", "κ": r"\kappa ", "λ": r"\lambda ", "μ": r"\mu ", "µ": r"\mu ", "ν": r"\nu ",
    "ξ": r"\xi ", "ρ": r"\rho ", "σ": r"\sigma ", "τ": r"\tau ", "φ": r"\phi ", "ϕ": r"\phi ", "χ": r"\chi ",
    "ψ": r"\psi ", "ω": r"\omega ", "Γ": r"\Gamma ", "Δ": r"\Delta ", "Θ": r"\Theta ", "Λ": r"\Lambda ",
    "Σ": r"\Sigma ", "Φ": r"\Phi ", "Ψ": r"\Psi ", "Ω": r"\Omega ", "¢": r"\text{ cents}",
})  # fmt: skip
ROOT = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}
_SAME_NAME = (
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "arcsec", "arccsc", "sinh",
    "cosh", "tanh", "coth", "sech", "csch", "ln", "log", "exp", "gcd", "lcm", "max", "min", "det", "sgn", "abs",
    "floor", "ceil", "arcsinh", "arccosh", "arctanh", "conj", "dim", "rank", "tr",
)  # fmt: skip
FUNCTION_NAMES = {
    **{name: name for name in _SAME_NAME},
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "tg": "tan", "ctg": "cot", "arctg": "arctan",
    "arsinh": "arcsinh",
    "lg": "lg", "cis": "cis", "cosec": "csc", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "arcosh": "arccosh",
    "artanh": "arctanh", "ceiling": "ceil", "sign": "sgn", "GCD": "gcd", "LCM": "lcm", "Re": "Re", "Im": "Im",
}  # fmt: skip
GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Sigma",
    "Upsilon",
    "Phi",
    "Psi",
    "Omega",
    "ell",
    "hbar",
]
COMMANDS: dict[str, Token | None] = {
    **{name: ("f", function) for name, function in FUNCTION_NAMES.items()},
    **{name: ("s", f"\\{name}") for name in GREEK},
    "varepsilon": ("s", "\\epsilon"), "vartheta": ("s", "\\theta"), "varphi": ("s", "\\phi"), "varrho": ("s", "\\rho"),
    "varsigma": ("s", "\\sigma"), "pi": ("s", "\\pi"), "infty": ("s", "\\infty"), "infin": ("s", "\\infty"),
    "imath": ("s", "i"), "jmath": ("s", "j"), "partial": ("s", "\\partial"),
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac", "sfrac", "nicefrac"), ("frac", "")), "sqrt": ("sqrt", ""),
    **dict.fromkeys(("binom", "dbinom", "tbinom"), ("binom", "")), "over": ("over", ""), "choose": ("choose", ""),
    **dict.fromkeys(("cdot", "times", "ast", "cdotp", "bullet"), ("*", "")), "div": ("/", ""), "slash": ("/", ""),
    "pm": ("pm", "+"), "mp": ("pm", "-"), "cup": ("cup", ""), "cap": ("cap", ""), "bigcup": ("cup", ""),
    "setminus": ("setminus", ""), "backslash": ("setminus", ""), "smallsetminus": ("setminus", ""),
    **dict.fromkeys(("le", "leq", "leqslant", "leqq"), ("rel", "<=")), "lt": ("rel", "<"), "gt": ("rel", ">"),
    **dict.fromkeys(("ge", "geq", "geqslant", "geqq"), ("rel", ">=")), **dict.fromkeys(("ne", "neq"), ("rel", "!=")),
    **dict.fromkeys(("approx", "simeq", "cong", "sim", "thickapprox"), ("rel", "approx")), "in": ("rel", "in"),
    "equiv": ("rel", "equiv"), "colon": (":", ""), "mid": ("mid", ""), "vert": ("|", ""), "lvert": ("lbar", ""),
    "rvert": ("rbar", ""), "Vert": ("norm", ""), "lVert": ("norm", ""), "rVert": ("norm", ""),
    "lfloor": ("lfloor", ""), "rfloor": ("rfloor", ""), "lceil": ("lceil", ""), "rceil": ("rceil", ""),
    "langle": ("langle", ""), "rangle": ("rangle", ""), "lbrace": ("set{", ""), "rbrace": ("set}", ""),
    "lbrack": ("[", ""), "rbrack": ("]", ""), "lparen": ("(", ""), "rparen": (")", ""),
    **dict.fromkeys(("emptyset", "varnothing"), ("empty", "")), **dict.fromkeys(("circ", "degree", "degrees"),
    ("circ", "")),
    "prime": ("'", ""), "land": ("and", ""), "wedge": ("and", ""), "lor": ("or", ""), "vee": ("or", ""),
    **dict.fromkeys(("dots", "ldots", "cdots", "dotsc", "dotsb", "dotsm"), ("dots", "")),
    **dict.fromkeys(("sum", "prod", "int", "lim"), None), "mod": ("mod", ""), "bmod": ("mod", ""), "pmod": ("pmod", ""),
    "pod": ("pmod", ""),
    **dict.fromkeys(("overline", "vec", "hat", "bar", "widehat", "overrightarrow", "overleftrightarrow",
                     "tilde", "widetilde", "overarc", "overset", "dot"), ("deco", "")),
    "angle": ("angle", ""), "measuredangle": ("angle", ""), "triangle": ("angle", ""), "odot": ("angle", ""),
    "forall": ("t", "for all"), "nabla": ("s", "\\nabla"),
    "to": ("to", ""), "rightarrow": ("to", ""), "Rightarrow": ("to", ""), "implies": ("to", ""),
    "top": ("s", "T"), "intercal": ("s", "T"), "percent": ("%", ""), "dollar": ("currency", "dollar"),
    "textdollar": ("currency", "dollar"),
    "euro": ("currency", "euro"), "pounds": ("currency", "pound sterling"), "cent": ("t", "cent"),
    "quad": (" ", ""), "qquad": (" ", ""), "hline": (" ", ""), "cr": ("row", ""), "newline": ("row", ""),
    "N": ("set", "N"), "Z": ("set", "Z"), "R": ("set", "R"), "Q": ("set", "Q"), "C": ("set", "C"),
}  # fmt: skip
for _name in ("sum", "prod", "int", "lim"):
    COMMANDS[_name] = ("big", _name)
SKIPPED = frozenset((
    "allowbreak", "bf", "big", "Big", "bigg", "Bigg", "biggl", "Biggl", "biggr", "Biggr", "bigl", "Bigl", "bigm",
    "bigr", "Bigr", "blacksquare", "Box", "cal", "displaystyle", "enspace", "ensuremath", "hfill", "it", "limits",
    "mathstrut", "medspace", "middle", "negthinspace", "nobreakspace", "noindent", "nolimits", "nonumber", "qed",
    "rm", "scriptstyle", "sf", "smallskip", "square", "strut", "textstyle", "thickspace", "thinspace", "tt",
))  # fmt: skip
TEXTS = frozenset((
    "emph", "hbox", "mathrm", "mbox", "operatorname", "text", "textbf", "textit", "textnormal", "textrm", "textsf",
    "texttt", "textup",
))  # fmt: skip
FONTS = frozenset((
    "Bbb", "bm", "bold", "boldsymbol", "boxed", "fbox", "mathbf", "mathcal", "mathfrak", "mathit", "mathscr",
    "mathsf", "mathtt", "pmb", "underline",
))  # fmt: skip
ESCAPES: dict[str, Token] = {
    r"\{": ("set{", ""), r"\}": ("set}", ""), r"\%": ("%", ""), r"\$": ("currency", "dollar"), r"\|": ("norm", ""),
    "**": ("^", ""), "<=": ("rel", "<="), ">=": ("rel", ">="), "!=": ("rel", "!="), "==": ("rel", "="),
    ":=": ("rel", "="),
    "=": ("rel", "="), "<": ("rel", "<"), ">": ("rel", ">"), "=>": ("to", ""), "->": ("to", ""), "...": ("dots", ""),
    "€": ("currency", "euro"), "£": ("currency", "pound sterling"), "¥": ("currency", "yen"), "₹": ("currency",
    "rupee"),
    r"\&": ("and", ""), "+/-": ("pm", "+"),
}  # fmt: skip
PLAIN = frozenset("+-*/^_!%|()[]{},;:'&")
SYNONYMS: dict[str, Token] = {
    "and": ("and", ""), "or": ("or", ""), "pi": ("s", "\\pi"), "Pi": ("s", "\\pi"), "inf": ("s", "\\infty"),
    "infty": ("s", "\\infty"), "infinity": ("s", "\\infty"), "Infinity": ("s", "\\infty"), "oo": ("s", "\\infty"),
    "sqrt": ("sqrt", ""), "mod": ("mod", ""), "modulo": ("mod", ""), "choose": ("choose", ""), "binom": ("binom", ""),
    "union": ("cup", ""), "cup": ("cup", ""), "intersect": ("cap", ""), "intersection": ("cap", ""), "in": ("w", "in"),
    "percent": ("t", "percent"), "cbrt": ("f", "cbrt"), "emptyset": ("empty", ""), "plus": ("+", ""), "minus": ("-",
    ""),
    "times": ("*", ""), "degrees": ("t", "degrees"), "degree": ("t", "degrees"),
    **{name: ("f", function) for name, function in FUNCTION_NAMES.items()},
    **{name: ("s", f"\\{name}") for name in GREEK if len(name) > 2 and name != "ell"},
}  # fmt: skip
BLANKS = frozenset(["left", "right"])
SPACERS = frozenset(["hspace", "vspace", "hskip", "kern", "phantom", "hphantom", "vphantom", "label", "tag", "color"])
UPRIGHT = {"i": ("s", "i"), "e": ("s", "e"), "d": ("s", "d"), "mod": ("mod", "")}
