using System.Collections.Concurrent;
using KvmSwitch.Core;
using KvmSwitch.Linux;
using KvmSwitch.Testing.Linux;

namespace KvmSwitch.Tests.Pci;

/// <summary>The reference set-up with USB buses on its controllers, and daemons that come and go on it.</summary>
internal sealed class ControllerRig : IDisposable, IProcessLimits
{
    public const string Ehci = "0000:00:1a.0";
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvmswitch-controller-");
    private readonly ConcurrentBag<DriverMemory> _memories = [];

    public ControllerRig()
    {
        ReferenceSetUp.AddTo(Tree.Pci);
        string[] controllers = [Ehci, "0000:00:1d.0", "0000:00:14.0", "0000:05:00.0", "0000:05:00.1", "0000:05:00.2"];
        for (var i = 0; i < controllers.Length; i++) Tree.AddBus(controllers[i], i + 1);
        Tree.Add("1-1", "046d:c31c");
        Restart();
    }

    public SysfsTree Tree { get; } = new();

    public PciTree Pci => Tree.Pci;

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    public ControllerHostSide Side { get; private set; } = null!;

    public DriverMemory Memory { get; private set; } = null!;

    public ConcurrentQueue<(int ProcessId, long Bytes)> Limits { get; } = new();

    /// <summary>Root can give files to anybody; others only to themselves.</summary>
    public static uint QemuUser { get; } = Libc.GetEffectiveUserId() == 0 ? 64055 : Libc.GetEffectiveUserId();

    public static Recipient Qemu { get; } = new(MachineId.Parse("windows"), 4711, QemuUser, QemuUser, 4L << 30);

    public static Device Ports { get; } = Named(Ehci);

    public static Device Named(params string[] functions) =>
        new(DeviceId.Parse("ports"), DeviceClass.Hid, new DeviceRoute.Controller([.. functions.Select(PciAddress.Parse)]), new(0, 1));

    /// <summary>The daemon was killed: a new one knows nothing but the file.</summary>
    public void Restart()
    {
        Memory = DriverMemory.Open(Path.Combine(_folder.FullName, "drivers.json"));
        _memories.Add(Memory);
        Side = new(Tree.Paths, Tree.Events, Memory, Pci, this, Clock);
    }

    public Task<Attachment> PrepareAsync(Device device, bool force = false, CancellationToken cancellationToken = default) =>
        Side.PrepareAsync(device, Qemu, force, cancellationToken).WaitAsync(Deadline, CancellationToken.None);

    public Task RestoreAsync(Device device) => Side.RestoreAsync(device, CancellationToken.None).WaitAsync(Deadline);

    public async Task<HostSight> LookAsync(Device device) => (await Side.ObserveAsync(device, CancellationToken.None).WaitAsync(Deadline)).Sight;

    public static async Task<string> RefusedAsync(Func<Task> act, Failure failure)
    {
        var refusal = await Xunit.Assert.ThrowsAsync<SwitchException>(act);
        Xunit.Assert.Equal(failure, refusal.Failure);
        return refusal.Message;
    }

    void IProcessLimits.AllowLockedMemory(int processId, long bytes) => Limits.Enqueue((processId, bytes));

    public void Dispose()
    {
        Pci.Faults.LetGo();
        foreach (var memory in _memories) memory.Dispose();
        Tree.Dispose();
        _folder.Delete(recursive: true);
    }
}
