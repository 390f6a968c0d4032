using System.ComponentModel;
using System.Diagnostics;
using System.Text.RegularExpressions;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.Machines;

/// <summary>The QEMU that is installed.</summary>
internal static partial class QemuProgram
{
    public const string Name = "qemu-system-x86_64";

    /// <summary>The oldest that is tested, and that has all that the arguments use.</summary>
    public static Version Oldest { get; } = new(7, 2);

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    /// <summary>Its absolute path.</summary>
    /// <param name="configured">As the configuration names it, or null: looked up in PATH.</param>
    /// <exception cref="SwitchException">There is none.</exception>
    public static string Find(string? configured)
    {
        if (configured is not null)
        {
            return File.Exists(configured)
                ? configured
                : throw new SwitchException(Failure.Failed, $"there is no QEMU at {configured}; correct 'qemu' in the section [daemon]");
        }

        var path = Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin";
        return path.Split(':').Where(Path.IsPathRooted).Select(folder => Path.Combine(folder, Name)).FirstOrDefault(File.Exists)
            ?? throw new SwitchException(
                Failure.Failed, $"{Name} is not installed; install it (Debian and Ubuntu: apt install qemu-system-x86), or set 'qemu' in the section [daemon]");
    }

    /// <exception cref="SwitchException">It can't be run, says no version, or is older than <see cref="Oldest"/>.</exception>
    public static async Task<Version> CheckAsync(string program, CancellationToken cancellationToken)
    {
        var said = await AskAsync(program, cancellationToken);
        if (VersionLine().Match(said) is not { Success: true } match || !Version.TryParse(match.Groups["version"].ValueSpan, out var version))
            throw new SwitchException(Failure.Failed, $"{program} says no version of QEMU");
        return version >= Oldest
            ? version
            : throw new SwitchException(Failure.Failed, $"{program} is QEMU {version}, which is too old; {Oldest} or newer is needed");
    }

    private static async Task<string> AskAsync(string program, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(Deadline);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, ["--version"]) { RedirectStandardOutput = true, UseShellExecute = false })!;
            try
            {
                return await process.StandardOutput.ReadToEndAsync(either.Token);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                process.Kill();
                throw new SwitchException(Failure.TimedOut, $"{program} --version did not answer within {Deadline.TotalSeconds} s");
            }
        }
        catch (Win32Exception failure)
        {
            throw new SwitchException(Failure.Failed, $"{program} can't be run: {failure.Message}", failure);
        }
    }

    [GeneratedRegex(@"version (?<version>\d+\.\d+(\.\d+)?)", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex VersionLine();
}
