using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>
/// Binds and unbinds. The kernel can hang for ever in that, and nothing can interrupt it: so it has a thread of its own and a
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
    public Task<int> OverrideAsync(PciAddress function, string? driver, CancellationToken cancellationToken) =>
        WriteAsync(function, [Override(function, driver)], cancellationToken);

    public Task<int> UnbindAsync(PciAddress function, string driver, CancellationToken cancellationToken) =>
        WriteAsync(function, [Unbind(function, driver)], cancellationToken);

    /// <summary>Has the kernel look for a driver that fits.</summary>
    public Task<int> ProbeAsync(PciAddress function, CancellationToken cancellationToken) => WriteAsync(function, [Probe(function)], cancellationToken);

    public Task<int> BindAsync(PciAddress function, string driver, CancellationToken cancellationToken) => WriteAsync(
        function, [new(Path.Combine(_bus, "drivers", driver, "bind"), function.Value, $"giving {driver}")], cancellationToken);

    /// <summary>The three steps from driver to driver in one go, as far as they go without an error.</summary>
    /// <param name="from">The driver that is bound; null: none.</param>
    /// <param name="to">As for <see cref="OverrideAsync"/>.</param>
    public Task<int> MoveAsync(PciAddress function, string? from, string? to, CancellationToken cancellationToken) => WriteAsync(
        function, [Override(function, to), .. from is null ? (Write[])[] : [Unbind(function, from)], Probe(function)], cancellationToken);

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
    private async Task<int> WriteAsync(PciAddress function, ImmutableArray<Write> writes, CancellationToken cancellationToken)
    {
        Lane lane;
        while (!TryBegin(function, writes, out lane)) await HoldAsync(function, lane, cancellationToken);
        int error;
        try
        {
            error = await HoldAsync(function, lane, cancellationToken);
        }
        catch
        {
            lane.IsGivenUp = true;
            throw;
        }

        return error is Libc.EACCES or Libc.EPERM or Libc.EROFS
            ? throw new SwitchException(Failure.Failed, $"no permission to write {lane.Current.Path}; run the daemon as root")
            : error;
    }

    private Write Override(PciAddress function, string? driver) =>
        new(Path.Combine(_bus, "devices", function.Value, "driver_override"), driver ?? "", "choosing a driver for");

    private Write Unbind(PciAddress function, string driver) =>
        new(Path.Combine(_bus, "drivers", driver, "unbind"), function.Value, $"making {driver} let go of");

    private Write Probe(PciAddress function) => new(Path.Combine(_bus, "drivers_probe"), function.Value, "finding a driver for");

    /// <returns>False when another write for the function is under way: that one.</returns>
    private bool TryBegin(PciAddress function, ImmutableArray<Write> writes, out Lane lane)
    {
        lock (_gate)
        {
            if (_lanes.TryGetValue(function, out lane!) && !lane.Ended.IsCompleted) return false;
            var begun = _lanes[function] = lane = new(writes[0], clock.GetTimestamp());
            new Thread(() => Run(begun, writes), StackBytes) { IsBackground = true, Name = $"driver of {function}" }.Start();
            return true;
        }
    }

    private void Run(Lane lane, ImmutableArray<Write> writes)
    {
        try
        {
            var error = 0;
            foreach (var write in writes)
            {
                if (lane.IsGivenUp) break;
                lane.Current = write;
                error = writer.Write(write.Path, write.Text);
                if (error != 0) break;
            }

            lane.End.SetResult(error);
        }
        catch (Exception e)
        {
            lane.End.SetException(e);
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
                $"the kernel has been {lane.Current.Doing} {function} for {clock.GetElapsedTime(lane.Started).TotalSeconds:0} s and can't be interrupted; {Remedy(lane)}",
                hangs);
        }
    }

    // The kernel waits for QEMU, and QEMU for its guest to agree: what ends QEMU ends that. A driver of the host's own waits for nobody we know.
    private static string Remedy(Lane lane) => lane.Current.Doing.Contains(PciFunction.Vfio, StringComparison.Ordinal)
        ? "the machine that has it doesn't let go: 'kvmswitch vm kill' frees it"
        : "if it never ends, only a restart of the computer frees the device";

    /// <param name="Doing">For a sentence: what the kernel does meanwhile.</param>
    private sealed record Write(string Path, string Text, string Doing);

    private sealed class Lane(Write first, long started)
    {
        private volatile Write _current = first;
        private volatile bool _isGivenUp;

        public TaskCompletionSource<int> End { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<int> Ended => End.Task;

        /// <summary>What is being written, or was last.</summary>
        public Write Current
        {
            get => _current;
            set => _current = value;
        }

        /// <summary>Nobody waits for it any more: what has not begun yet doesn't.</summary>
        public bool IsGivenUp
        {
            get => _isGivenUp;
            set => _isGivenUp = value;
        }

        public long Started => started;
    }
}
