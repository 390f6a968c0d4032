using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>
/// Binds and unbinds. The kernel can hang for ever in that, and nothing can interrupt it: so each write has a thread of its own and a
/// deadline. What is given up on goes on in its thread, and as it holds the function's lock, no further write for the same function
/// begins before it ends.
/// </summary>
internal sealed class DriverLanes(KernelPaths paths, ISysfsWriter writer, TimeSpan deadline, TimeProvider clock)
{
    // Little is on it but the call.
    private const int StackBytes = 256 * 1024;
    private readonly Lock _gate = new();
    private readonly Dictionary<PciAddress, Lane> _lanes = [];
    private readonly string _bus = Path.Combine(paths.Sys, "bus/pci");

    /// <param name="driver">The only driver that may bind; null: any (Documentation/ABI/testing/sysfs-bus-pci).</param>
    public Task<int> OverrideAsync(PciAddress function, string? driver, CancellationToken cancellationToken) => WriteAsync(
        function, Path.Combine(_bus, "devices", function.Value, "driver_override"), driver ?? "", "choosing a driver for", cancellationToken);

    public Task<int> UnbindAsync(PciAddress function, string driver, CancellationToken cancellationToken) => WriteAsync(
        function, Path.Combine(_bus, "drivers", driver, "unbind"), function.Value, $"making {driver} let go of", cancellationToken);

    /// <summary>Has the kernel look for a driver that fits.</summary>
    public Task<int> ProbeAsync(PciAddress function, CancellationToken cancellationToken) =>
        WriteAsync(function, Path.Combine(_bus, "drivers_probe"), function.Value, "finding a driver for", cancellationToken);

    public Task<int> BindAsync(PciAddress function, string driver, CancellationToken cancellationToken) =>
        WriteAsync(function, Path.Combine(_bus, "drivers", driver, "bind"), function.Value, $"giving {driver}", cancellationToken);

    /// <summary>Waits for a write of before that was given up on.</summary>
    /// <exception cref="SwitchException">TimedOut: it still hangs.</exception>
    public Task FinishAsync(PciAddress function, CancellationToken cancellationToken)
    {
        Lane? lane;
        lock (_gate) lane = _lanes.GetValueOrDefault(function);
        return lane is null ? Task.CompletedTask : HoldAsync(function, lane, cancellationToken);
    }

    /// <returns>0, or the number of an error that says something about the device or driver: the next look tells more.</returns>
    /// <exception cref="SwitchException">Failed: no permission. TimedOut: it hangs.</exception>
    private async Task<int> WriteAsync(PciAddress function, string path, string text, string doing, CancellationToken cancellationToken)
    {
        Lane lane;
        while (!TryBegin(function, path, text, doing, out lane)) await HoldAsync(function, lane, cancellationToken);
        var error = await HoldAsync(function, lane, cancellationToken);
        return error is Libc.EACCES or Libc.EPERM or Libc.EROFS
            ? throw new SwitchException(Failure.Failed, $"no permission to write {path}; run the daemon as root")
            : error;
    }

    /// <returns>False when another write for the function is under way: that one.</returns>
    private bool TryBegin(PciAddress function, string path, string text, string doing, out Lane lane)
    {
        lock (_gate)
        {
            if (_lanes.TryGetValue(function, out lane!) && !lane.Ended.IsCompleted) return false;
            var ended = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
            _lanes[function] = lane = new(ended.Task, doing, clock.GetTimestamp());
            new Thread(() => Run(path, text, ended), StackBytes) { IsBackground = true, Name = $"driver of {function}" }.Start();
            return true;
        }
    }

    private void Run(string path, string text, TaskCompletionSource<int> ended)
    {
        try
        {
            ended.SetResult(writer.Write(path, text));
        }
        catch (Exception e)
        {
            ended.SetException(e);
        }
    }

    private async Task<int> HoldAsync(PciAddress function, Lane lane, CancellationToken cancellationToken)
    {
        try
        {
            return await lane.Ended.WaitAsync(deadline, clock, cancellationToken);
        }
        catch (TimeoutException hangs) when (!lane.Ended.IsCompleted)
        {
            throw new SwitchException(
                Failure.TimedOut,
                $"the kernel has been {lane.Doing} {function} for {clock.GetElapsedTime(lane.Started).TotalSeconds:0} s and can't be interrupted; {Remedy(lane)}",
                hangs);
        }
    }

    // The kernel waits for QEMU, and QEMU for its guest to agree: what ends QEMU ends that. A driver of the host's own waits for nobody we know.
    private static string Remedy(Lane lane) => lane.Doing.Contains(PciFunction.Vfio, StringComparison.Ordinal)
        ? "the machine that has it doesn't let go: 'kvmswitch vm kill' frees it"
        : "if it never ends, only a restart of the computer frees the device";

    private sealed record Lane(Task<int> Ended, string Doing, long Started);
}
