using System.Collections.Immutable;
using System.Text;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.GuestTools;

/// <summary>One file of the disc, in its root: a copy of another one, or a text.</summary>
internal sealed record DiscFile(string Name, string? Source, string Text = "", bool IsProgram = false);

/// <summary>What is on a guest-tools disc.</summary>
internal static class DiscContent
{
    /// <summary>What agents look for on every drive: a text whose first line is a pairing code.</summary>
    public const string JoinFile = "kvmswitch.join";

    public static ImmutableArray<DiscFile> Of(ToolFiles tools, MachineId machine, string code)
    {
        var files = ImmutableArray.CreateBuilder<DiscFile>();
        files.Add(new(JoinFile, null, code + "\n"));
        files.Add(Windows("README.txt", machine));
        if (tools.WindowsInstaller is { } msi)
        {
            files.Add(new(ToolFiles.WindowsInstallerName, msi));
            files.Add(Windows("setup.cmd", machine));
            files.Add(Windows("autorun.inf", machine));
        }

        if (tools.LinuxAgent is { } agent)
        {
            files.Add(new(ToolFiles.LinuxAgentName, agent, IsProgram: true));
            files.Add(new("setup.sh", null, Template("setup.sh", machine), IsProgram: true));
        }

        return files.DrainToImmutable();
    }

    /// <summary>Windows' own programs want both characters at the end of a line.</summary>
    private static DiscFile Windows(string name, MachineId machine) =>
        new(name, null, Template(name, machine).Replace("\n", "\r\n", StringComparison.Ordinal));

    private static string Template(string name, MachineId machine)
    {
        using var stream = typeof(DiscContent).Assembly.GetManifestResourceStream($"guest-tools/{name}")!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd().Replace("@MACHINE@", machine.Value, StringComparison.Ordinal);
    }
}
