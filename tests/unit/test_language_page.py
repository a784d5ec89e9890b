"""Every example of docs/language.md runs, as graph and bytecode, and prints what the page says."""

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

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
EXAMPLES = re.findall(r"```python\n(.*?)```\n```text\n(.*?)```", PAGE.read_text(), re.S)
INPUTS = {
    (0, "a"): np.array([1.0, 2, 3, 4]),
    (1, "b"): np.array([4.0, 3, 2, 1.5]),
    (0, "m"): np.arange(6.0).reshape(2, 3),
    (0, "train.x"): np.arange(6.0),
    (0, "train.y"): np.arange(6),
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
    graph = program.trace(
        Config(rounding="nearest"), lambda party, name: INPUTS[(party, name)].shape
    )
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
    assert len(EXAMPLES) >= 6
