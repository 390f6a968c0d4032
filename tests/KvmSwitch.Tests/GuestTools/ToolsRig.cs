using System.Collections.Immutable;
using System.Net;
using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.GuestTools;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Testing.Qmp;
using KvmSwitch.Tests.Daemon;
using KvmSwitch.Tests.Guests;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Tests.GuestTools;

/// <summary>Discs for one machine, whose QEMU is a fake; their images are small files.</summary>
internal sealed class ToolsRig : IAsyncDisposable
{
    private readonly Folder _folder = new();

    private ToolsRig(MachineRig machine, params Device[] devices)
    {
        Machine = machine;
        _folder.Write(ToolFiles.WindowsInstallerName, "msi");
        _folder.Write(ToolFiles.LinuxAgentName, "agent");
        Images = new(_folder);
        Codes = new(new byte[16], () => ["192.0.2.1:7443"], machine.Time);
        var daemon = DaemonOptions.Default with { GuestTools = _folder.Root };
        var configuration = new SwitchConfiguration(daemon, LeaseOptions.Default, [machine.Runtime.Options], [.. devices], [], []);
        Desk = new(configuration, new MachinePark([machine.Runtime], [], []), Codes, Images, machine.Time, NullLogger.Instance);
    }

    public MachineRig Machine { get; }

    public FakeQemu Qemu => Machine.Qemu;

    public FakeImages Images { get; }

    public PairingDesk Codes { get; }

    public ToolsDesk Desk { get; }

    /// <summary>Nothing of a disc is in QEMU.</summary>
    public bool IsClean => Qemu.FdSets.Count == 0 && Qemu.BlockNodes.Count == 0 && !Qemu.Devices.Keys.Any(id => id.StartsWith("tools-", StringComparison.Ordinal));

    public static async Task<ToolsRig> CreateAsync(FakeQemuOptions? options = null, params Device[] devices) =>
        new(await MachineRig.ConnectedAsync(options), devices);

    public void Lose(string file) => File.Delete(_folder[file]);

    public Task<ShownDisc> ShowAsync(TimeSpan? lifetime = null) =>
        Desk.ShowAsync(MachineRig.Win, lifetime ?? ToolsDesk.MaxLifetime, CancellationToken.None).WaitAsync(MachineRig.Patience);

    public Task<bool> RemoveAsync() => Desk.RemoveAsync(MachineRig.Win, CancellationToken.None).WaitAsync(MachineRig.Patience);

    /// <summary>Presents the code of a disc, as an agent does.</summary>
    /// <param name="disc">Counts from 0: the discs that were made.</param>
    public Redemption Redeem(int disc) => Codes.TryRedeem(GuestHost.ReadTicket(Images.Codes[disc]).Token.Span, IPAddress.Loopback, out _);

    public Task GoneAsync() => Machine.EndsInTimeAsync(UntilCleanAsync());

    public async ValueTask DisposeAsync()
    {
        await Machine.EndsInTimeAsync(Desk.DisposeAsync().AsTask());
        await Machine.DisposeAsync();
        _folder.Dispose();
    }

    private async Task UntilCleanAsync()
    {
        using var late = new CancellationTokenSource(MachineRig.Patience);
        using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(2));
        while (!IsClean) await look.WaitForNextTickAsync(late.Token);
    }

    internal sealed class FakeImages(Folder folder) : IDiscImages
    {
        private ImmutableArray<string> _codes = [];

        public ImmutableArray<string> Codes => _codes;

        public SwitchException? Failure { get; set; }

        public Task<SafeFileHandle> MakeAsync(IReadOnlyList<DiscFile> files, CancellationToken cancellationToken)
        {
            _codes = _codes.Add(files.Single(file => file.Name == DiscContent.JoinFile).Text.TrimEnd('\n'));
            return Failure is null ? Task.FromResult(File.OpenHandle(folder.Write("image", "iso"))) : Task.FromException<SafeFileHandle>(Failure);
        }
    }
}
