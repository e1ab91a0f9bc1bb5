"""Runs the workloads in Retrace and in the engines that are installed here, and prints the table of the README.

    python benches/compare.py [--rounds 3] [--seconds 1] [--threads 2] [--only W1,W3] [--peer NAME=COMMAND] [--readme]

Every measurement is a process of its own. Engines take turns, workload by workload and round by round, so that a change of
the machine's speed meets all of them. A figure is the median over the rounds of each run's median. `--readme` puts the
table into README.md, between its marks. `--peer` adds an engine: a command that takes the options of the scripts in
`benches/peers` and prints lines like theirs.
"""
import argparse
import datetime
import importlib.util
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = {"PyTorch": ("torch", "torch_workloads.py"), "JAX": ("jax", "jax_workloads.py")}
WORKLOADS = {
    "W1": "2-16-16-1, tanh, batch 64, SGD",
    "W2": "2-128-128-128-1, relu, batch 4096, Adam",
    "W3": "784-512-256-10, relu, batch 128, Adam",
    "W4": "convolutional, 64 × 1 × 28 × 28, SGD with momentum",
    "W5": "LSTM 32 → 128, 64 steps, batch 32, Adam",
    "W6": "two transformer blocks, 8 × 128 tokens, AdamW",
    "W7": "elementwise chain on 10⁶ numbers, forward and backward",
    "W8": "10 000 dependent operations on 4 × 4, each (µs)",
}
# What is compared of a workload: the last phase that it reports. Ours reports last what a program replays, and before, what is
# recorded anew in every step.
REPLAYED = "Retrace, replayed"
MARKS = ("<!-- workloads: benches/compare.py --readme -->", "<!-- end of workloads -->")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each phase of each run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default=",".join(WORKLOADS), help="workloads, separated by commas")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND", help="one more engine")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    options = parser.parse_args()

    engines = {"Retrace": [build()]}
    for name, (module, script) in PEERS.items():
        if importlib.util.find_spec(module):
            engines[name] = [sys.executable, str(ROOT / "benches" / "peers" / script)]
    for peer in options.peer:
        name, _, command = peer.partition("=")
        engines[name] = shlex.split(command)
    wanted = [workload for workload in options.only.split(",") if workload in WORKLOADS]
    found = measure(engines, wanted, options)
    table = render(["Retrace", REPLAYED] + list(engines)[1:], wanted, found)
    print(table)
    if options.readme:
        write(table)


def build():
    """The path of the benchmark's executable."""
    command = ["cargo", "bench", "--no-run", "--bench", "workloads", "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    messages = (json.loads(line) for line in lines if line.startswith("{"))
    paths = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "workloads"]
    return paths[-1]


def measure(engines, wanted, options):
    """Medians, resident memory and version, by engine and workload."""
    found = {}
    for round in range(options.rounds):
        for workload in wanted:
            for engine, command in engines.items():
                arguments = ["--only", workload, "--seconds", str(options.seconds)]
                if engine != "JAX":
                    arguments += ["--threads", str(options.threads)]
                environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
                run = subprocess.run(command + arguments, capture_output=True, text=True, env=environment)
                lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
                if run.returncode != 0 or not lines:
                    print(f"{engine} {workload}: no result\n{run.stderr[-2000:]}", file=sys.stderr)
                    continue
                recorded = [line for line in lines if "replayed" not in line["phase"]]
                note(found, engine, workload, recorded[-1], round)
                if len(recorded) < len(lines):
                    note(found, REPLAYED, workload, lines[-1], round)
    return found


def note(found, engine, workload, line, round):
    print(f"round {round + 1} {engine} {workload} {line['phase']}: {line['median_ms']}", file=sys.stderr)
    entry = found.setdefault((engine, workload), {"medians": [], "memory": [], "version": ""})
    entry["medians"].append(line["median_ms"])
    entry["memory"].append(line["rss_mb"])
    entry["version"] = line.get("version", "").split("+")[0]


def render(engines, wanted, found):
    ours, peers = engines[:2], engines[2:]
    versions = {engine: entry["version"] for (engine, _), entry in found.items() if entry["version"]}
    heads = ours + [f"{peer} {versions.get(peer, '')}".strip() for peer in peers]
    lines = [
        f"{machine()}, {datetime.date.today():%d %B %Y}. Times in milliseconds; memory is the peak of the process, in MB.",
        "",
        "| training step | " + " | ".join(heads) + " | best peer ÷ Retrace | memory: " + ", ".join(engines) + " |",
        "|" + "---|" * (len(heads) + 3),
    ]
    for workload in wanted:
        medians = {}
        memory = {}
        for engine in engines:
            entry = found.get((engine, workload))
            if entry:
                medians[engine] = statistics.median(entry["medians"])
                memory[engine] = max(entry["memory"])
        others = [medians[peer] for peer in peers if peer in medians]
        mine = [medians[engine] for engine in ours if engine in medians]
        ratio = f"{min(others) / min(mine):.2f}" if others and mine else ""
        cells = [figure(medians[engine]) if engine in medians else "" for engine in engines]
        sizes = ", ".join(str(round(memory[engine])) if engine in memory else "–" for engine in engines)
        lines.append(f"| {workload}: {WORKLOADS[workload]} | " + " | ".join(cells) + f" | {ratio} | {sizes} |")
    return "\n".join(lines)


def figure(milliseconds):
    return f"{milliseconds:.3g}"


def machine():
    try:
        info = pathlib.Path("/proc/cpuinfo").read_text()
        model = next(line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        model = "unknown processor"
    return f"{os.cpu_count()} cores of {model}"


def write(table):
    readme = ROOT / "README.md"
    text = readme.read_text()
    start, end = text.index(MARKS[0]) + len(MARKS[0]), text.index(MARKS[1])
    written = readme.with_suffix(".md.new")
    written.write_text(f"{text[:start]}\n{table}\n{text[end:]}")
    written.replace(readme)


if __name__ == "__main__":
    main()
