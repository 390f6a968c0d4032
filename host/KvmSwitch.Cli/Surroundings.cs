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
        return new Surroundings(StandardOutput(), Console.Error)
        {
            OutIsTerminal = terminal,
            ErrorIsTerminal = !Console.IsErrorRedirected,
            Width = terminal ? TerminalWidth() : null,
            Variable = Environment.GetEnvironmentVariable,
        };
    }

    // The console's own stream hides a reader that went away, and `status --watch | head -1` would never end. A plain
    // file stream reports it, but writes at offsets of its own, which is wrong for a file that others append to.
    private static StreamWriter StandardOutput()
    {
        var plain = new FileStream(new Microsoft.Win32.SafeHandles.SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        return new StreamWriter(plain.CanSeek ? Console.OpenStandardOutput() : plain, bufferSize: 4096);
    }

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
