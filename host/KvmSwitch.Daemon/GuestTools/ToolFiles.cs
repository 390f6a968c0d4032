using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Daemon.GuestTools;

/// <summary>The agent's installers in the directory of the configuration.</summary>
/// <param name="WindowsInstaller">Absolute path of the MSI; null: it isn't there.</param>
/// <param name="LinuxAgent">Absolute path of the program; null: it isn't there.</param>
/// <param name="Missing">What isn't there and how to get it, one sentence each.</param>
internal sealed record ToolFiles(string? WindowsInstaller, string? LinuxAgent, ImmutableArray<string> Missing)
{
    public const string WindowsInstallerName = "kvmswitch-agent.msi";
    public const string LinuxAgentName = "kvmswitch-agent";

    /// <exception cref="SwitchException">There is neither: a disc with nothing to install would help nobody.</exception>
    public static ToolFiles Find(string directory)
    {
        var (msi, agent) = (Existing(directory, WindowsInstallerName), Existing(directory, LinuxAgentName));
        if (msi is null && agent is null)
        {
            throw new SwitchException(
                Failure.Failed,
                $"there are no guest tools in {directory}: neither {WindowsInstallerName} nor {LinuxAgentName} is there; build them (installer/build.sh, installer/windows/build-msi.sh) and set guest_tools in the section [daemon] to their directory, or use 'kvmswitch guest pair'");
        }

        var missing = ImmutableArray.CreateBuilder<string>();
        if (msi is null) missing.Add($"nothing for Windows: {WindowsInstallerName} is not in {directory}; installer/windows/build-msi.sh makes it");
        if (agent is null) missing.Add($"nothing for Linux: {LinuxAgentName} is not in {directory}; installer/build.sh makes it");
        return new(msi, agent, missing.DrainToImmutable());
    }

    private static string? Existing(string directory, string name) => Path.Combine(directory, name) is var path && File.Exists(path) ? path : null;
}
