using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>
/// Starts a program as a transient systemd unit <c>kvmswitch-NAME.service</c> (systemd-run(1)), out of our own control group. Works
/// only where systemd is process 1.
/// </summary>
public sealed class SystemdUnit : IProcessLauncher
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(15);

    /// <exception cref="SwitchException">systemd refused, with its own words, or didn't answer within 15 s.</exception>
    public async Task<ProcessHandle> LaunchAsync(ProcessSpec spec, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(Deadline);
        try
        {
            await RunAsync(spec, "systemd-run", StartArguments(spec), deadline.Token);
            var answer = await RunAsync(spec, "systemctl", PidArguments(spec), deadline.Token);
            return int.TryParse(answer.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var pid)
                && ProcessHandle.Open(pid, spec.Program) is { } process
                ? process
                : throw Refusal(spec, $"it ended at once; its last words are in {spec.OutputPath}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SwitchException(Failure.TimedOut, $"{spec.Name} can't be started: systemd didn't answer within {Deadline.TotalSeconds} s");
        }
    }

    internal static string UnitOf(ProcessSpec spec) => $"kvmswitch-{spec.Name}.service";

    /// <summary>For systemd-run. Type=exec lets it wait until the program runs, and fail when it can't be executed.</summary>
    internal static ImmutableArray<string> StartArguments(ProcessSpec spec) =>
    [
        $"--unit={UnitOf(spec)}", "--collect", "--quiet", "--service-type=exec", $"--description=KvmSwitch {spec.Name}",
        "-p", "StandardInput=null", "-p", $"StandardOutput=append:{spec.OutputPath}", "-p", $"StandardError=append:{spec.OutputPath}",
        "-p", "KillMode=mixed", "-p", "SendSIGHUP=no", "-p", "WorkingDirectory=/",
        .. spec.User is { } user ? Unprivileged(user) : [],
        .. ProcessLauncher.EnvironmentOf(spec).Select(pair => $"--setenv={pair.Key}={pair.Value}"),
        "--", spec.Program, .. spec.Arguments.Select(EscapeVariables),
    ];

    internal static ImmutableArray<string> PidArguments(ProcessSpec spec) => ["show", "--property=MainPID", "--value", UnitOf(spec)];

    private static ImmutableArray<string> Unprivileged(RunAs user) =>
    [
        "-p", $"User={user.User}", "-p", $"Group={user.Group}", "-p", "NoNewPrivileges=yes", "-p", "CapabilityBoundingSet=", "-p", "AmbientCapabilities=",
    ];

    // systemd replaces $NAME and ${NAME} in the arguments of a transient unit; $$ is a plain $ in every version.
    private static string EscapeVariables(string argument) => argument.Replace("$", "$$", StringComparison.Ordinal);

    private static async Task<string> RunAsync(ProcessSpec spec, string program, ImmutableArray<string> arguments, CancellationToken cancellationToken)
    {
        using var process = new Process();
        process.StartInfo = new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            process.Start();
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new SwitchException(Failure.Failed, $"{spec.Name} can't be started: {program} can't be run: {e.Message}", e);
        }

        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var errors = process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode == 0 ? await output : throw Refusal(spec, $"{program} says: {(await errors).Trim()}");
    }

    private static SwitchException Refusal(ProcessSpec spec, string reason) => new(Failure.Failed, $"{spec.Name} can't be started: {reason}");
}
