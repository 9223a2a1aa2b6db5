"""Every setting is an option."""

import argparse
from dataclasses import fields

import pytest

from pct import cli
from pct.commands.options import add_settings, read_settings
from pct.settings import Settings


def parse(*argv: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_settings(parser)
    return read_settings(parser.parse_args(argv))


def test_without_options_the_settings_are_the_defaults() -> None:
    assert parse() == Settings()


def test_every_setting_can_be_given_in_both_spellings() -> None:
    given = {
        f.name: str(getattr(Settings(), f.name)) for f in fields(Settings) if getattr(Settings(), f.name) not in ("",)
    }
    for spell in (str, lambda name: name.replace("_", "-")):
        argv = [part for name, value in given.items() for part in (f"--{spell(name)}", value)]
        assert parse(*argv) == Settings()


def test_values_take_the_type_of_their_setting() -> None:
    parsed = parse("--lr", "1e-3", "--batch_size", "32", "--compile", "--restore-best", "false", "--glove", "")
    assert parsed == Settings(lr=1e-3, batch_size=32, compile=True, restore_best=False)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--epochs", "many"], "epochs"),
        (["--p-important", "0"], r"p_important must be in \(0, 1\], got 0"),
        (["--method", "magic"], "normal, entropy, pct"),
        (["--compile", "perhaps"], "true or false"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(argv: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(*argv)


def test_commands_whose_models_cannot_read_windows_do_not_take_them(capsys):
    for command in ("export", "serve", "bento"):
        with pytest.raises(SystemExit):
            cli.main([command, "my-classifier", "--windows", "stride=4"])
        assert "no option --windows" in capsys.readouterr().err
