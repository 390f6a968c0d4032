using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>
/// Starts a program in a session of its own: input from /dev/null, output appended to a file, no other descriptor, default
/// signals. It outlives us, but not a systemd unit that we run in.
/// </summary>
public sealed class DetachedProcess : IProcessLauncher
{
    private const UnixFileMode Executable = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <exception cref="SwitchException">The program or its output file can't be opened, or another user was named and we are not root.</exception>
    public Task<ProcessHandle> LaunchAsync(ProcessSpec spec, CancellationToken cancellationToken) =>
        Task.Run(() => Launch(spec), cancellationToken);

    /// <summary>The words that start it; util-linux' setpriv changes the user and then becomes the program, with the same process id.</summary>
    internal static ImmutableArray<string> CommandLine(ProcessSpec spec) => spec.User is not { } user
        ? [spec.Program, .. spec.Arguments]
        :
        [
            "/usr/bin/setpriv", $"--reuid={user.User}", $"--regid={user.Group}", "--init-groups", "--no-new-privs",
            "--inh-caps=-all", "--bounding-set=-all", "--", spec.Program, .. spec.Arguments,
        ];

    private static ProcessHandle Launch(ProcessSpec spec)
    {
        CheckBeforehand(spec);
        try
        {
            return ProcessHandle.OfChild(Spawn.Start(CommandLine(spec), ProcessLauncher.EnvironmentOf(spec), spec.OutputPath));
        }
        catch (IOException e)
        {
            throw new SwitchException(Failure.Failed, $"{spec.Name} can't be started: {e.Message}", e);
        }
    }

    // posix_spawn tells one errno for all that can fail, and setpriv none at all: so the usual causes are looked for first.
    private static void CheckBeforehand(ProcessSpec spec)
    {
        if (!Path.IsPathRooted(spec.Program)) throw Refusal(spec, $"{spec.Program} is not an absolute path");
        if (!File.Exists(spec.Program)) throw Refusal(spec, $"there is no program {spec.Program}");
        if ((File.GetUnixFileMode(spec.Program) & Executable) == UnixFileMode.None) throw Refusal(spec, $"{spec.Program} is not executable");

        if (!Directory.Exists(Path.GetDirectoryName(spec.OutputPath))) throw Refusal(spec, $"there is no directory for its output file {spec.OutputPath}");
        if (spec.User is { } user && Libc.GetEffectiveUserId() != 0) throw Refusal(spec, $"only root can run it as user {user.User}");
    }

    private static SwitchException Refusal(ProcessSpec spec, string reason) => new(Failure.Failed, $"{spec.Name} can't be started: {reason}");
}
