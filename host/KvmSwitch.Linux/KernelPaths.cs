namespace KvmSwitch.Linux;

/// <summary>Where the kernel's files are. Other places than the real ones serve tests.</summary>
/// <param name="Sys">sysfs, absolute.</param>
/// <param name="Dev">Device nodes, absolute.</param>
/// <param name="Run">Run-time state of the system's services, absolute.</param>
public sealed record KernelPaths(string Sys, string Dev, string Run)
{
    public static KernelPaths Real { get; } = new("/sys", "/dev", "/run");

    /// <summary>procfs, absolute.</summary>
    public string Proc { get; init; } = "/proc";
}
