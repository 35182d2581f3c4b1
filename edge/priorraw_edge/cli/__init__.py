"""The command `priorraw-edge`: one file per command, loaded only when it is called.

Exit codes: 0 done, 1 a check failed, 2 the call or its input was wrong (one line on stderr, no traceback).
"""

import sys
from importlib import import_module

import click

# command -> (module, one-line help). The help stands here so that --help imports nothing heavy.
COMMANDS = {
    "prepare": "Turn camera files, packs or PNG folders into a dataset of (sRGB, raw-RGB) pairs.",
    "train": "Train the pixel-searching encoder or the reconstructor.",
    "bank": "Compress reference pixels into a prior bank.",
    "evaluate": "Measure PSNR and SSIM of a dataset under the one protocol.",
    "export": "Lower encoder and reconstructor for a device, a target.",
    "quantize": "Measure int8 ranges on photographs, and what int8 costs layer by layer.",
    "bundle": "Put a camera's bank into a bundle, or take it out.",
    "verify": "Prove that a bundle computes what PyTorch computes.",
    "reconstruct": "Turn photographs into linear DNG, TIFF or npy.",
    "enhance": "Recover the bit depth of photographs that have too few bits.",
    "bench": "Measure time, memory and work per megapixel, beside rivals and limits.",
    "demo": "Export, verify and reconstruct a sample; write a report to look at.",
    "targets": "List the devices to lower for, and what each needs here.",
    "doctor": "Check versions, tools and assets; say what is missing.",
    "info": "Show the shipped cameras, or what an asset folder or bundle holds.",
    "completion": "Print the script that lets a shell complete commands and options.",
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return import_module(f"priorraw_edge.cli.{name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]):
        if args and args[0] not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; see priorraw-edge --help"
            raise click.UsageError(f"no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="priorraw-edge", prog_name="priorraw-edge")
def cli() -> None:
    """Turn ordinary sRGB pictures back into RAW, with nothing recorded at capture time."""


def main(args: list[str] | None = None) -> None:
    """Run the command line; every foreseen failure leaves one line on stderr and exit code 2, or 1."""
    from priorraw.errors import InputError

    from priorraw_edge.errors import CheckError
    from priorraw_edge.quiet import quiet_libraries

    try:
        with quiet_libraries():
            code = cli.main(args=args, prog_name="priorraw-edge", standalone_mode=False)
    except (click.ClickException, InputError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        print(f"priorraw-edge: {message}", file=sys.stderr)
        sys.exit(2)
    except CheckError as error:
        print(f"priorraw-edge: refused: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # what no command foresaw: a folder without permission, a full disk
        what = f"{error.filename}: " if error.filename else ""
        print(f"priorraw-edge: {what}{error.strerror or error}; mend that and run it again", file=sys.stderr)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        print("priorraw-edge: stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)
