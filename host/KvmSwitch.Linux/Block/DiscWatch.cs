using System.Runtime.CompilerServices;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>What happened to the disc of a drive.</summary>
public enum DiscNews
{
    /// <summary>A disc was put in, or another one, or there is one at the beginning of the watch. Only while the drive is home.</summary>
    CameIn,

    /// <summary>The drive is lent and has no disc any more: it was ejected, or the drive was unplugged. Told until the drive is home.</summary>
    Left,
}

/// <summary>
/// Watches drives for discs. At home the kernel tells of changes. Lent, it doesn't (the drive's events are the guest's, see
/// <see cref="IDiscDrives.Claim"/>) if it can write, so the drive is asked every 2 s over a descriptor that stays open, because opening one would
/// take events from the guest.
/// </summary>
public sealed class DiscWatch
{
    private static readonly TimeSpan WhileLent = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan AtHome = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ReadDeadline = TimeSpan.FromSeconds(15);
    private readonly KernelPaths _paths;
    private readonly IUeventSource _events;
    private readonly TimeProvider _clock;
    private readonly IDiscDrives _drives;

    public DiscWatch(KernelPaths paths, IUeventSource events, TimeProvider clock)
        : this(paths, events, clock, new DiscDrives())
    {
    }

    internal DiscWatch(KernelPaths paths, IUeventSource events, TimeProvider clock, IDiscDrives drives) =>
        (_paths, _events, _clock, _drives) = (paths, events, clock, drives);

    /// <summary>News of one device of the route optical, until cancelled. <see cref="DiscNews.CameIn"/> only where its route is automatic.</summary>
    /// <param name="device">Of the route optical.</param>
    /// <param name="isLent">Whether a machine has it now.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    /// <exception cref="SwitchException">Usage: its link names no optical drive.</exception>
    public async IAsyncEnumerable<DiscNews> WatchAsync(Device device, Func<bool> isLent, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var isAutomatic = OpticalHostSide.RouteOf(device).Auto is not null;
        using var listener = _events.Listen();
        using var eye = new Eye(this, device);
        for (var (memory, isHinted) = (DiscMemory.Nothing, true); ;)
        {
            var lent = isLent();
            if (lent || isAutomatic)
            {
                (memory, var news) = memory.See(await eye.LookAsync(memory, lent, isHinted, cancellationToken));
                if (news is { } told && (told != DiscNews.CameIn || isAutomatic)) yield return told;
            }

            isHinted = await listener.WaitAsync(OpticalHostSide.IsBlock, lent ? WhileLent : AtHome, _clock, cancellationToken);
        }
    }

    /// <summary>Looks at one drive, and keeps it open while it is lent.</summary>
    private sealed class Eye(DiscWatch watch, Device device) : IDisposable
    {
        private IDiscDrive? _drive;

        public async Task<DiscLook> LookAsync(DiscMemory memory, bool isLent, bool isHinted, CancellationToken cancellationToken)
        {
            if (!isLent) Dispose();
            var state = await Task.Run(State, cancellationToken).WaitAsync(cancellationToken);
            try
            {
                // Reading spins the disc up, so only when there is reason to think that it may be another.
                var isWorthReading = !isLent && state == DiscState.Present && (isHinted || memory.Fingerprint is null);
                return new(state, isLent, isWorthReading && _drive is { } drive ? await ReadAsync(drive, cancellationToken) : null);
            }
            finally
            {
                if (!isLent) Dispose();
            }
        }

        public void Dispose()
        {
            _drive?.Dispose();
            _drive = null;
        }

        private DiscState State()
        {
            try
            {
                _drive ??= Open();
                return _drive?.State ?? DiscState.None;
            }
            catch (IOException e)
            {
                Dispose();
                // Of other trouble than having been unplugged the next handoff tells.
                return OpticalHostSide.IsGone(e) ? DiscState.None : DiscState.Unknown;
            }
        }

        private IDiscDrive? Open() => DiscLinks.Resolve(watch._paths, device.Id, OpticalHostSide.RouteOf(device).ById) is { } name
            ? watch._drives.Open(Path.Combine(watch._paths.Dev, name), alone: false)
            : null;

        private async Task<string?> ReadAsync(IDiscDrive drive, CancellationToken cancellationToken)
        {
            try
            {
                return await Task.Run(drive.Fingerprint, cancellationToken).WaitAsync(ReadDeadline, watch._clock, cancellationToken);
            }
            catch (TimeoutException)
            {
                return null; // A scratched disc can take minutes.
            }
        }
    }
}
