using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Threading.Channels;

namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>
/// Windows' announcements of devices and of their interfaces (CM_Register_Notification). Only hints to look again; those that come
/// while nobody looks become one.
/// </summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe class DeviceNotifications : IDeviceHints
{
    private const int Interfaces = 0;
    private const int Instances = 2;
    private const uint AllInterfaces = 1;
    private const uint AllInstances = 2;

    // CR_CALL_NOT_IMPLEMENTED.
    private const int NotImplemented = 0x34;

    private readonly Channel<bool> hints = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly List<nint> registrations = [];
    private GCHandle self;

    /// <exception cref="IOException">Windows does not let us listen.</exception>
    /// <exception cref="NotSupportedException">This system has no such announcements.</exception>
    public DeviceNotifications()
    {
        self = GCHandle.Alloc(hints.Writer);
        try
        {
            Register(Interfaces, AllInterfaces);
            Register(Instances, AllInstances);
        }
        catch (Exception refused) when (refused is IOException or NotSupportedException)
        {
            Dispose();
            throw;
        }
    }

    public Task NextAsync(CancellationToken cancellationToken) => hints.Reader.ReadAsync(cancellationToken).AsTask();

    public void Dispose()
    {
        // Waits for callbacks under way.
        foreach (var registration in registrations)
            _ = SetupNative.UnregisterNotification(registration);
        registrations.Clear();
        if (self.IsAllocated)
            self.Free();
    }

    [UnmanagedCallersOnly]
    private static int Hear(nint registration, nint context, int action, nint data, int size)
    {
        if (GCHandle.FromIntPtr(context).Target is ChannelWriter<bool> hints)
            hints.TryWrite(true);
        return 0;
    }

    private void Register(int kind, uint flags)
    {
        var filter = new SetupNative.NotifyFilter { Size = sizeof(SetupNative.NotifyFilter), Kind = kind, Flags = flags };
        var result = SetupNative.RegisterNotification(in filter, GCHandle.ToIntPtr(self), &Hear, out var registration);
        if (result == NotImplemented)
            throw new NotSupportedException();
        if (result != 0)
            throw new IOException($"Windows does not tell of devices: CM_Register_Notification answers {result}.", new Win32Exception(result));
        registrations.Add(registration);
    }
}
