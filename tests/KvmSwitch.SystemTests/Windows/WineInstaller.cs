using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>The agent's MSI on a <see cref="WineDesktop"/>. Disposing uninstalls what is installed.</summary>
internal sealed class WineInstaller(WineDesktop windows) : IAsyncDisposable
{
    public const string Program = @"Program Files/KvmSwitch/KvmSwitch.Agent.exe";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private readonly string _directory = Directory.CreateTempSubdirectory("kvmswitch-msi-").FullName;
    private string? _installed;

    public bool ServiceRuns => windows.Processes().Values.Any(command => command.Contains("KvmSwitch.Agent.exe", StringComparison.Ordinal) && command.Contains(" service", StringComparison.Ordinal));

    public bool AnythingRuns => windows.Processes().Values.Any(command => command.Contains("KvmSwitch.Agent.exe", StringComparison.Ordinal));

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Makes a package of the published agent.</summary>
    /// <param name="version">Null: that of the project.</param>
    public async Task<string> BuildAsync(string? version = null)
    {
        var script = Path.GetFullPath(Path.Combine(SharedDemo.Inputs.Programs, "../../installer/windows/build-msi.sh"));
        var package = Path.Combine(_directory, $"kvmswitch-agent-{version}.msi");
        string[] options = version is null ? [] : ["--version", version];
        var built = await ChildProcess.RunAsync(script, ["--exe", WineDesktop.Agent, .. options, package], Patience, Stop);
        return built.ExitCode == 0 ? package : throw new IOException(built.Error);
    }

    /// <exception cref="IOException">msiexec failed; the message has the end of its log.</exception>
    public async Task InstallAsync(string package, params string[] properties)
    {
        await ExpectAsync(["/i", WineDesktop.WindowsPath(package), "/qn", .. properties]);
        _installed = package;
    }

    /// <summary>
    /// Puts another version in place of the one that is installed, in the two steps of Windows Installer's RemoveExistingProducts: the old
    /// package is removed and told which product replaces it (property UPGRADINGPRODUCTCODE, which Wine 8 doesn't set), the new one installed.
    /// </summary>
    public async Task UpgradeAsync(string package)
    {
        await ExpectAsync(["/x", WineDesktop.WindowsPath(_installed!), "/qn", "UPGRADINGPRODUCTCODE={5B1C0E3A-6C0E-4B57-9B43-0D7F5E2A9C99}"]);
        _installed = null;
        await InstallAsync(package);
    }

    /// <returns>What msiexec ended with.</returns>
    public Task<int> TryInstallAsync(string package) => RunAsync("/i", WineDesktop.WindowsPath(package), "/qn");

    public async Task UninstallAsync()
    {
        await ExpectAsync(["/x", WineDesktop.WindowsPath(_installed!), "/qn"]);
        _installed = null;
    }

    /// <summary>A value of the registry as reg.exe prints it; null: there is none.</summary>
    public async Task<string?> RegistryAsync(string key, string value)
    {
        var result = await windows.RunAsync("reg.exe", "query", key, "/v", value);
        return result.ExitCode == 0 ? result.Output : null;
    }

    public async ValueTask DisposeAsync()
    {
        if (_installed is not null) await UninstallAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task ExpectAsync(string[] arguments)
    {
        var log = Path.Combine(_directory, "log");
        var ended = await RunAsync([.. arguments, "/l*v", WineDesktop.WindowsPath(log)]);
        if (ended == 0) return;
        var lines = File.Exists(log) ? await File.ReadAllLinesAsync(log, Stop) : ["there is no log"];
        throw new IOException($"msiexec {string.Join(' ', arguments)} ended with {ended}:\n{string.Join('\n', lines.TakeLast(40))}");
    }

    private async Task<int> RunAsync(params string[] arguments)
    {
        await using var msiexec = windows.Start("msiexec.exe", arguments);
        return (await msiexec.WaitForExitAsync(Patience)).ExitCode;
    }
}
