"""Every example of docs/language.md and docs/data.md runs, as graph and bytecode, and prints what
the page says."""

import re
from pathlib import Path

import numpy as np
import pytest
from interpreter import Machine

from sequester.compiler.compile import Options, compile_graph
from sequester.compiler.ir import reference
from sequester.compiler.ir.graph import Config
from sequester.compiler.ir.verifier import verify
from sequester.compiler.lang import Program
from sequester.compiler.passes import autodiff, expand

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = [
    found
    for page in ("language.md", "data.md")
    for found in re.findall(
        r"```python\n(.*?)```\n```text\n(.*?)```", (DOCS / page).read_text(), re.S
    )
]
INPUTS = {
    (0, "a"): np.array([1.0, 2, 3, 4]),
    (1, "b"): np.array([4.0, 3, 2, 1.5]),
    (0, "m"): np.arange(6.0).reshape(2, 3),
    (0, "train.x"): np.arange(6.0),
    (0, "train.y"): np.arange(6),
    (0, "patients.x"): np.array([[1.0, 1], [2, 2], [3, 3]]),
    (0, "patients.y"): np.array([1, 2, 0]),
    (1, "patients.x"): np.array([[4.0, 4], [5, 10]]),
    (1, "patients.y"): np.array([2, 0]),
    (0, "bank"): np.array([7.0, 8, 9, 10]),
    (1, "bank"): np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]]),
}


def load(text: str, folder: Path, number: int) -> Program:
    """The program of an example; bodies without a decorator are put into one."""
    if "@program" not in text:
        body = "".join("    " + line for line in text.splitlines(keepends=True))
        text = (
            "import numpy as np\nfrom sequester import *\n"
            "from sequester.compiler.lang import join_planes, compose\n"
            "@program\ndef main():\n" + body
        )
    path = folder / f"example_{number}.py"
    path.write_text(text)
    names: dict[str, object] = {"__name__": path.stem}
    exec(compile(text, str(path), "exec"), names)
    main = names["main"]
    assert isinstance(main, Program)
    return main


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(number: int, tmp_path: Path) -> None:
    text, expected = EXAMPLES[number]
    program = load(text, tmp_path, number)
    shapes = {key: array.shape for key, array in INPUTS.items()}
    graph = program.trace(Config(rounding="nearest"), shapes)
    verify(graph)
    compiled = compile_graph(graph, Options())
    printed = Machine(compiled.program, INPUTS).run().lines
    assert [line.replace(",", "") for line in printed] == [
        line.replace("[", "").replace("]", "") for line in expected.splitlines()
    ]
    verify(autodiff.run(graph))
    modes: tuple[reference.Mode, ...] = ("float", "exact")
    for mode in modes:
        result = reference.run(graph, INPUTS, mode=mode)
        assert result.lines == expected.splitlines()
    verify(expand.run(graph))
    result = reference.run(graph, INPUTS, mode="exact", checked=True)
    assert result.lines == expected.splitlines()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 12
