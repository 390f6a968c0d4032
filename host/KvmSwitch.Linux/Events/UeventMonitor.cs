namespace KvmSwitch.Linux;

/// <summary>
/// Listens to device events: those of udev, which come after its rules ran and a node can be used, or the kernel's own where no
/// udev runs. Ones that weren't sent by root are dropped.
/// </summary>
public sealed class UeventMonitor : IUeventSource, IAsyncDisposable
{
    private readonly UeventHub _hub = new();
    private readonly UeventSocket _socket;
    private readonly CancellationTokenSource _stopping = new();

    private UeventMonitor(UeventSocket socket)
    {
        _socket = socket;
        Completion = RunAsync();
    }

    /// <summary>Ends with an error when listening failed for good; listeners then get nothing more but one rescan. Ends normally on disposal.</summary>
    public Task Completion { get; }

    /// <exception cref="IOException">The system doesn't let us listen.</exception>
    public static UeventMonitor Start(KernelPaths paths) =>
        new(new UeventSocket(File.Exists(Path.Combine(paths.Run, "udev/control")) ? UeventSocket.UdevGroup : UeventSocket.KernelGroup));

    public UeventListener Listen() => _hub.Listen();

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _socket.Dispose();
        _stopping.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await _socket.WaitAsync(_stopping.Token);
                while (_socket.TryReceive() is { } uevent) _hub.Publish(uevent);
                if (!_socket.WasOverrun) continue;
                _socket.WasOverrun = false;
                _hub.Publish(Uevent.Rescan);
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // Disposed.
        }
        finally
        {
            _hub.Publish(Uevent.Rescan);
        }
    }
}
