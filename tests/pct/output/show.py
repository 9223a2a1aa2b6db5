"""A command that prints what not every terminal has."""


def main(arguments):
    print("é █")
    return 0
