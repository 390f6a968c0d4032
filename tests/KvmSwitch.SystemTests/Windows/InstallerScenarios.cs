using System.Text.Json.Nodes;
using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>The Windows installer, and pairing without typing. The host is the real daemon; drive K: stands for its disc.</summary>
[Collection(nameof(WineTier))]
public sealed class InstallerScenarios(WineDesktop windows)
{
    private const string Run = @"HKLM\Software\Microsoft\Windows\CurrentVersion\Run";
    private const string Service = @"HKLM\System\CurrentControlSet\Services\KvmSwitchAgent";
    private const string Keys = @"HKLM\Software\KvmSwitch";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact(Timeout = 240_000)]
    public async Task Installed_it_pairs_from_a_disc_installed_twice_or_upgraded_it_stays_paired_and_uninstalled_its_files_and_settings_are_gone()
    {
        await using var host = await StartHostAsync();
        await using var installer = new WineInstaller(windows);
        var package = await installer.BuildAsync();
        using (new WineDisc(windows).Put("kvmswitch.join", await CodeAsync(host)))
        {
            await installer.InstallAsync(package);
            await host.WaitForStateAsync(IsLive, "the installed service has paired from the disc and is live", Stop);
        }

        Assert.True(installer.ServiceRuns);
        Assert.Contains("KvmSwitch.Agent.exe\" tray", await installer.RegistryAsync(Run, "KvmSwitch"), StringComparison.Ordinal);
        Assert.NotEmpty(Shortcuts());
        var paired = await GuestsAsync(host);

        await installer.InstallAsync(package);
        Assert.True(installer.ServiceRuns);
        Assert.Equal(paired, await GuestsAsync(host));

        await installer.UpgradeAsync(await installer.BuildAsync("99.1.2"));
        // Wine 8 takes a service for running until its old process has ended, so that msiexec's start may find nothing to do.
        await Condition.HoldsAsync(
            async () =>
            {
                await windows.RunAsync("net.exe", "start", "KvmSwitchAgent");
                return IsLive(await host.RunAsync(Stop, "status"));
            },
            "the newer version is live", Patience, Stop);
        Assert.Equal(paired, await GuestsAsync(host));
        Assert.NotEqual(0, await installer.TryInstallAsync(package));
        Assert.True(installer.ServiceRuns);

        await installer.UninstallAsync();
        await Condition.HoldsAsync(() => !installer.AnythingRuns, "nothing of it runs", Patience, Stop);
        await AssertGoneAsync(installer);
    }

    [Fact(Timeout = 240_000)]
    public async Task A_code_that_the_installer_is_given_pairs_it_and_is_removed()
    {
        await using var host = await StartHostAsync();
        await using var installer = new WineInstaller(windows);
        var code = await CodeAsync(host);

        await installer.InstallAsync(await installer.BuildAsync(), $"CODE={code}", $"HOST=127.0.0.1:{host.Port}");

        await host.WaitForStateAsync(IsLive, "the service is live", Stop);
        await Condition.HoldsAsync(async () => await installer.RegistryAsync(Keys, "JoinCode") is null, "the code is removed", Patience, Stop);
        Assert.Null(await installer.RegistryAsync(Keys, "JoinHost"));
    }

    [Fact(Timeout = 240_000)]
    public async Task A_join_file_that_is_of_no_use_is_told_in_one_sentence()
    {
        await using var host = await StartHostAsync();
        await using var foreign = await StartHostAsync();
        await SaysAsync(["No file kvmswitch.join was found", "kvmswitch guest tools"]);

        using (var disc = new WineDisc(windows))
        {
            disc.Put("kvmswitch.join", "hello");
            await SaysAsync([@"K:\kvmswitch.join holds no pairing code", "kvmswitch guest tools"]);

            var late = await host.RunAsync(Stop, "guest", "pair", "demo", "--for", "1s");
            var expires = DateTimeOffset.Parse(late["expires"]!.GetValue<string>());
            await Condition.HoldsAsync(() => TimeProvider.System.GetUtcNow() > expires.AddMilliseconds(100), "the code has expired", Patience, Stop);
            disc.Put("kvmswitch.join", late["code"]!.GetValue<string>());
            await SaysAsync([@"K:\kvmswitch.join is of no use", "wrong, used or expired"]);

            disc.Put("kvmswitch.join", Mixed(await CodeAsync(host), foreign.Port));
            await SaysAsync([@"K:\kvmswitch.join is of no use", "is not the paired host"]);

            disc.Put("kvmswitch.join", await CodeAsync(host));
            var joined = await JoinAsync();
            Assert.True(joined.ExitCode == 0, joined.Error);
            await SaysAsync([@"K:\kvmswitch.join is of no use", "wrong, used or expired"]);
        }

        var forgotten = await windows.RunAsync(WineDesktop.Agent, "forget");
        Assert.True(forgotten.ExitCode == 0, forgotten.Error);
        await AssertForgottenAsync();
    }

    private static bool IsLive(JsonNode state) => state["machines"]![0]!["agent_live"]!.GetValue<bool>();

    private static async Task<DemoHost> StartHostAsync()
    {
        var host = await DemoHost.CreateAsync(SharedDemo.Inputs, Stop, text => text.Replace("10.0.2.2:", "127.0.0.1:", StringComparison.Ordinal));
        await host.StartDaemonAsync(Stop);
        return host;
    }

    private static async Task<string> CodeAsync(DemoHost host) => (await host.RunAsync(Stop, "guest", "pair", "demo"))["code"]!.GetValue<string>();

    private static async Task<string[]> GuestsAsync(DemoHost host) =>
        [.. (await host.RunAsync(Stop, "guest", "list"))["guests"]!.AsArray().Select(guest => guest!["id"]!.GetValue<string>())];

    /// <summary>The same code with the address of another host.</summary>
    private static string Mixed(string code, int port)
    {
        const string Prefix = "ksw1-";
        var ticket = Proto.V1.PairingTicket.Parser.ParseFrom(System.Buffers.Text.Base64Url.DecodeFromChars(code.AsSpan(Prefix.Length)));
        ticket.Addresses.Clear();
        ticket.Addresses.Add($"127.0.0.1:{port}");
        return Prefix + System.Buffers.Text.Base64Url.EncodeToString(Google.Protobuf.MessageExtensions.ToByteArray(ticket));
    }

    /// <summary>In the Start menu: everybody's on Windows, the user's own on Wine 8.</summary>
    private string[] Shortcuts() => Directory.GetFiles(windows.DriveC, "KvmSwitch.lnk", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint });

    private Task<ProcessResult> JoinAsync() => windows.RunAsync(WineDesktop.Agent, "join");

    private async Task SaysAsync(string[] words) => Refused.Sentence(await JoinAsync(), Refused.Failed, words);

    private async Task AssertGoneAsync(WineInstaller installer)
    {
        Assert.Null(await installer.RegistryAsync(Run, "KvmSwitch"));
        Assert.Null(await installer.RegistryAsync(Service, "ImagePath"));
        Assert.Null(await installer.RegistryAsync(Keys, "StartMenu"));
        Assert.False(Directory.Exists(Path.Combine(windows.DriveC, "ProgramData/KvmSwitch")), "the state directory is still there");
        Assert.Empty(Shortcuts());
        await AssertForgottenAsync();
    }

    /// <summary>No certificate of ours is left in the machine's store, and no key.</summary>
    private async Task AssertForgottenAsync()
    {
        Assert.DoesNotContain(@"Certificates\", (await windows.RunAsync("reg.exe", "query", @"HKLM\Software\Microsoft\SystemCertificates\My\Certificates")).Output, StringComparison.Ordinal);
        Assert.DoesNotContain("KvmSwitch-", (await windows.RunAsync("reg.exe", "query", @"HKCU\Software\Wine\Crypto\RSA")).Output, StringComparison.Ordinal);
    }
}
