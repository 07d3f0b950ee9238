"""What Snakemake 9.27 gets wrong and this workflow needs right; each fix has a test that will say when it can go."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from snakemake.dag import DAG


def look_behind_ancient_inputs() -> None:
    """Let a job have its own reasons to run where an earlier job runs too but ancient inputs lie between them.

    Snakemake asks only the first jobs of a chain for their reasons, as those behind will follow. Behind an ancient
    input they do not (https://github.com/snakemake/snakemake/issues/4166): with a changed grader the answers of the
    data would be graded anew and those of the trained model, behind a training that is not repeated, would not.
    """
    plain = DAG.bfs

    def bfs(self: DAG, direction: Any, *jobs: Any, stop: Callable[[Any], bool] = lambda job: False) -> Iterator[Any]:
        if direction is not self.depending:
            yield from plain(self, direction, *jobs, stop=stop)
            return
        queue, visited = deque(jobs), set(jobs)
        while queue:
            job = queue.popleft()
            if stop(job):
                continue
            yield job
            for behind, files in direction[job].items():
                if behind not in visited and not all(file.is_ancient for file in files):
                    visited.add(behind)
                    queue.append(behind)

    DAG.bfs = bfs
