using System.CommandLine;
using KvmSwitch.Daemon.Configuration;

namespace KvmSwitch.Daemon;

/// <summary>The command line of <c>kvmswitchd</c>.</summary>
internal static class DaemonCommand
{
    private const int ExitOk = 0;
    private const int ExitFailed = 1;

    public static RootCommand Create()
    {
        var config = Path("--config", "The configuration file.", "KVMSWITCH_CONFIG", "/etc/kvmswitch/kvmswitch.toml");
        var socket = Path("--socket", "The control socket.", "KVMSWITCH_SOCKET", "/run/kvmswitch/control.sock");
        var runtime = Path("--runtime-directory", "Where the sockets of machines are.", "RUNTIME_DIRECTORY", "/run/kvmswitch");
        var state = Path("--state-directory", "Where everything is kept that outlives a reboot.", "STATE_DIRECTORY", "/var/lib/kvmswitch");
        var check = new Option<bool>("--check") { Description = "Check the configuration and end." };
        var verbose = new Option<bool>("--verbose") { Description = "Log every step." };
        var command = new RootCommand("Moves devices between this host and its virtual machines. Runs until it is told to stop (SIGTERM).")
        {
            config, socket, runtime, state, check, verbose,
        };
        command.SetAction((parsed, cancellationToken) =>
        {
            var paths = new DaemonPaths(
                parsed.GetRequiredValue(config), parsed.GetRequiredValue(socket), parsed.GetRequiredValue(runtime), parsed.GetRequiredValue(state));
            return parsed.GetValue(check)
                ? Task.FromResult(Check(paths.Configuration))
                : DaemonHost.RunAsync(paths, parsed.GetValue(verbose), cancellationToken);
        });
        return command;
    }

    private static int Check(string path)
    {
        try
        {
            var configuration = ConfigurationFile.Load(path);
            Console.WriteLine(
                $"{path}: good ({configuration.Machines.Length} machines, {configuration.Devices.Length} devices, {configuration.Sets.Length} sets)");
            return ExitOk;
        }
        catch (ConfigurationException errors)
        {
            Console.Error.WriteLine(errors.Message);
            return ExitFailed;
        }
    }

    private static Option<string> Path(string name, string description, string variable, string fallback)
    {
        var option = new Option<string>(name)
        {
            Description = $"{description} Also: ${variable}.",
            HelpName = "PATH",
            DefaultValueFactory = _ => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } set ? set : fallback,
        };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is { } path && !System.IO.Path.IsPathRooted(path))
                result.AddError($"{name} '{path}' is not an absolute path; write it from the root (/…).");
        });
        return option;
    }
}
