using System.Collections.Immutable;

namespace KvmSwitch.Linux;

/// <summary>A program to start that shall outlive us.</summary>
/// <param name="Name">Names it to people and to systemd, as <c>vm-windows</c>.</param>
/// <param name="Program">Absolute path.</param>
/// <param name="Arguments">Without the program itself. Paths among them are absolute: it runs in <c>/</c>.</param>
/// <param name="OutputPath">Absolute path of the file that its output and errors are appended to.</param>
public sealed record ProcessSpec(string Name, string Program, ImmutableArray<string> Arguments, string OutputPath)
{
    /// <summary>Who it runs as, without any capability; null: as we do. Needs root.</summary>
    public RunAs? User { get; init; }

    /// <summary>Its environment, beside PATH and LANG: nothing of ours is inherited.</summary>
    public ImmutableSortedDictionary<string, string> Environment { get; init; } = ImmutableSortedDictionary<string, string>.Empty;
}

/// <param name="User">A name of /etc/passwd or a number. Its supplementary groups come with it.</param>
/// <param name="Group">A name of /etc/group or a number: the primary group.</param>
public sealed record RunAs(string User, string Group);

/// <summary>Starts programs that live on when we end.</summary>
public interface IProcessLauncher
{
    /// <summary>
    /// Returns once it runs. What goes wrong only then, as a user that doesn't exist, shows as an exit at once and in the output file.
    /// </summary>
    /// <exception cref="KvmSwitch.Core.SwitchException">It can't be started: one sentence why.</exception>
    Task<ProcessHandle> LaunchAsync(ProcessSpec spec, CancellationToken cancellationToken);
}

public static class ProcessLauncher
{
    /// <summary>
    /// A transient systemd unit where systemd is process 1 and we are root, because stopping or upgrading our own unit would
    /// otherwise end everything in its control group. A detached process elsewhere.
    /// </summary>
    public static IProcessLauncher ForThisSystem() =>
        Directory.Exists("/run/systemd/system") && Libc.GetEffectiveUserId() == 0 ? new SystemdUnit() : new DetachedProcess();

    internal static ImmutableSortedDictionary<string, string> EnvironmentOf(ProcessSpec spec) =>
        ImmutableSortedDictionary<string, string>.Empty
            .Add("LANG", "C.UTF-8")
            .Add("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .SetItems(spec.Environment);
}
