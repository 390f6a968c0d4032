using System.Runtime.InteropServices;

namespace KvmSwitch.Cli;

/// <summary>All that a command sees of the process that it runs in, so that a test can be the process.</summary>
internal sealed partial record Surroundings(TextWriter Out, TextWriter Error)
{
    // TIOCGWINSZ of ioctl_tty(2).
    private const nuint TerminalSize = 0x5413;

    public bool OutIsTerminal { get; init; }

    public bool ErrorIsTerminal { get; init; }

    /// <summary>Columns of the terminal on standard output; null when it is none, and nothing is wrapped.</summary>
    public int? Width { get; init; }

    public Func<string, string?> Variable { get; init; } = static _ => null;

    /// <summary>Its local time zone is the one that times are shown in.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    public static Surroundings OfProcess()
    {
        var terminal = !Console.IsOutputRedirected;
        return new Surroundings(Writer(1), Writer(2, atOnce: true))
        {
            OutIsTerminal = terminal,
            ErrorIsTerminal = !Console.IsErrorRedirected,
            Width = terminal ? TerminalWidth() : null,
            Variable = Environment.GetEnvironmentVariable,
        };
    }

    private static StreamWriter Writer(int descriptor, bool atOnce = false) =>
        new(new StandardStream(descriptor), bufferSize: 1024) { AutoFlush = atOnce };

    // Console.WindowWidth would load terminfo first and switch the keypad's mode: time and escape codes that nobody needs.
    private static int? TerminalWidth() => WindowSize(1, TerminalSize, out var size) == 0 && size.Columns > 0 ? size.Columns : null;

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int WindowSize(int descriptor, nuint request, out WinSize size);

    [StructLayout(LayoutKind.Sequential)]
    private struct WinSize
    {
        public ushort Rows;
        public ushort Columns;
        public ushort PixelsWide;
        public ushort PixelsHigh;
    }
}
