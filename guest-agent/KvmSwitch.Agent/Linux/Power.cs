using System.Diagnostics;
using System.Globalization;

namespace KvmSwitch.Agent.Linux;

/// <summary>Shuts down with what the system has: systemd, another init, or, where the first process takes no such wish, at once.</summary>
internal sealed class Power : IPower
{
    private const int UserSignal2 = 12;

    public string ShutDown()
    {
        var (program, argument) = Choose(
            systemd: Directory.Exists("/run/systemd/system"),
            initListens: File.Exists("/run/initctl") || Catches(File.ReadLines("/proc/1/status"), UserSignal2));
        try
        {
            using var started = Process.Start(new ProcessStartInfo(program, argument is null ? [] : [argument]));
            return argument is null ? program : $"{program} {argument}";
        }
        catch (System.ComponentModel.Win32Exception missing)
        {
            throw new IOException($"'{program}' can't be run ({missing.Message}).", missing);
        }
    }

    /// <summary>The command that shuts down: busybox's poweroff only signals the first process, which may be a script that ignores it.</summary>
    public static (string Program, string? Argument) Choose(bool systemd, bool initListens) =>
        systemd ? ("systemctl", "poweroff") : initListens ? ("poweroff", null) : ("poweroff", "-f");

    /// <summary>A process, by the lines of its <c>/proc/PID/status</c>, has a handler for <paramref name="signal"/> (proc(5), SigCgt).</summary>
    public static bool Catches(IEnumerable<string> status, int signal) =>
        status.FirstOrDefault(line => line.StartsWith("SigCgt:", StringComparison.Ordinal)) is { } line
        && ulong.TryParse(line.AsSpan(7).Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var caught)
        && ((caught >> (signal - 1)) & 1) != 0;
}
