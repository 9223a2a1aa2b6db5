"""What every command owes whoever gives it something wrong."""

from pct import cli


def ends_with_one_line(arguments, capsys):
    """Runs a command that must refuse, and returns the line; any exception that comes through fails the test."""
    try:
        code = cli.main(arguments)
    except SystemExit as stopped:  # argparse
        code = stopped.code
    lines = capsys.readouterr().err.strip().splitlines()
    ours = [line for line in lines if "error: " in line]
    assert code in (1, 2), lines
    assert len(ours) == 1, lines
    assert len(ours[0]) > len("error: x")
    assert lines[-1] == ours[0]
    return ours[0]
