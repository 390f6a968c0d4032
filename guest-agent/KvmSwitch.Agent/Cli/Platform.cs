using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Agent.Link;

namespace KvmSwitch.Agent.Cli;

/// <summary>What differs between the systems that the agent runs on.</summary>
internal static class Platform
{
    /// <summary>Where the pairing is kept.</summary>
    public static string StateDirectory => OperatingSystem.IsWindows()
        ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.CommonApplicationData), "KvmSwitch")
        : "/var/lib/kvmswitch-agent";

    public static IKeyMaker Keys => OperatingSystem.IsWindows() ? new Windows.Keys.MachineKeyMaker() : new Linux.RsaKeyMaker();

    /// <summary>Where pairing codes may lie ready.</summary>
    public static IJoinOffers Offers() => OperatingSystem.IsWindows() ? new Windows.WindowsOffers() : new Linux.MountedDrives();

    /// <summary>The agent in the foreground, until it is told to stop.</summary>
    public static Task RunAsync(IdentityStore store, IJournal journal, CancellationToken stop) => OperatingSystem.IsWindows()
        ? new Windows.Service.WindowsAgent(store, journal, Root.Version).RunAsync(stop)
        : new AgentRun(store, new Linux.LinuxSystem(), journal, Root.Version).RunAsync(stop);
}
