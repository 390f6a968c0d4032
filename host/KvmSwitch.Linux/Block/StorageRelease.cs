using System.Collections.Immutable;
using System.Runtime.InteropServices;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <inheritdoc/>
/// <remarks>By UDisks2 where it serves the device, else by umount(2) if that is forced. What proves success is a claim of each disk, which the kernel refuses while anything uses it.</remarks>
public sealed class StorageRelease : IStorageRelease
{
    // Somebody who mounts again and again, as an automounter, doesn't keep us for ever.
    private const int Rounds = 64;
    private readonly KernelPaths _paths;
    private readonly Func<IMessageBus> _systemBus;
    private readonly TimeProvider _clock;
    private readonly Func<Mount, int> _unmount;
    private readonly BlockInventory _inventory;

    /// <param name="systemBus">The system's message bus, connected when it is first called.</param>
    public StorageRelease(KernelPaths paths, Func<IMessageBus> systemBus, TimeProvider clock)
        : this(paths, systemBus, clock, UnmountByCall)
    {
    }

    /// <param name="unmount">Returns an errno, 0 for success.</param>
    internal StorageRelease(KernelPaths paths, Func<IMessageBus> systemBus, TimeProvider clock, Func<Mount, int> unmount)
    {
        (_paths, _systemBus, _clock, _unmount) = (paths, systemBus, clock, unmount);
        _inventory = new(paths);
    }

    /// <summary>For one unmount, with all the writing that it takes on a slow stick.</summary>
    public static TimeSpan Deadline { get; } = TimeSpan.FromSeconds(60);

    public async Task ReleaseAsync(DeviceId name, ImmutableArray<BlockDevice> blocks, bool force, CancellationToken cancellationToken)
    {
        if (blocks.IsEmpty) return;
        await using var bus = _systemBus();
        for (var round = 0; await LookAsync(blocks, cancellationToken) is var use; round++)
        {
            if (use.Swaps is [var swap, ..]) throw Refusal($"{name} holds swap space of the host: switch it off first (swapoff /dev/{swap})");
            if (round == Rounds) throw new SwitchException(Failure.Failed, $"{name} is mounted again and again by another program: stop that first");
            if (use.Mounts is [var (device, mount), ..])
            {
                await UnmountAsync(name, device, mount, bus, force, cancellationToken);
            }
            else if (use.Devices.FirstOrDefault(device => !device.Holders.IsEmpty) is { } held)
            {
                await CloseAsync(name, held, use, bus, cancellationToken);
            }
            else
            {
                break;
            }
        }

        foreach (var disk in blocks.Where(block => !block.IsPartition)) await FinishAsync(name, disk, cancellationToken);
    }

    private static int UnmountByCall(Mount mount) => Libc.Unmount(ProcText.Bytes(mount.Point), Libc.UMOUNT_NOFOLLOW) == 0 ? 0 : Marshal.GetLastPInvokeError();

    private static SwitchException Refusal(string message) => new(Failure.Refused, message);

    private Task<BlockUse> LookAsync(ImmutableArray<BlockDevice> blocks, CancellationToken cancellationToken) =>
        Task.Run(() => _inventory.UseOf([.. blocks.Select(block => _inventory.Named(block.Name).FirstOrDefault(now => now.Name == block.Name) ?? block)]), cancellationToken)
            .WaitAsync(cancellationToken);

    private async Task UnmountAsync(DeviceId name, BlockDevice device, Mount mount, IMessageBus bus, bool force, CancellationToken cancellationToken)
    {
        var answer = await AskAsync($"unmounting {mount}", udisks => udisks.UnmountAsync(device.Name, cancellationToken), bus, cancellationToken);
        if (answer == UDisksAnswer.NotServed)
        {
            if (!force) throw Refusal($"{name} is mounted at {mount}; unmount it, or give it with --force");
            var error = await BoundAsync($"unmounting {mount}", Task.Run(() => _unmount(mount), cancellationToken), cancellationToken);
            if (error is not (0 or Libc.EBUSY)) throw new SwitchException(Failure.Failed, $"{name} can't be unmounted from {mount}: {Marshal.GetPInvokeErrorMessage(error)}");
            answer = error == 0 ? UDisksAnswer.Done : UDisksAnswer.Busy;
        }

        if (answer == UDisksAnswer.Busy) throw Refusal($"{name} is in use: some program works below {mount}; close it and try again");
    }

    /// <summary>An encrypted device is closed, as a file manager that opened it would. Whatever else was made of the device is somebody's set-up.</summary>
    private async Task CloseAsync(DeviceId name, BlockDevice held, BlockUse use, IMessageBus bus, CancellationToken cancellationToken)
    {
        var holder = held.Holders[0];
        var answer = use.Devices.Any(device => device.Name == holder && device.IsEncryption)
            ? await AskAsync($"closing the encrypted {held.Name}", udisks => udisks.LockAsync(held.Name, cancellationToken), bus, cancellationToken)
            : UDisksAnswer.NotServed;
        if (answer != UDisksAnswer.Done) throw Refusal($"{name} is in use: /dev/{holder} is made of {held.Name}; stop that first");
    }

    private async Task<UDisksAnswer> AskAsync(string doing, Func<UDisks, Task<UDisksAnswer>> ask, IMessageBus bus, CancellationToken cancellationToken)
    {
        try
        {
            return await BoundAsync($"{doing} by UDisks2", ask(new(bus)), cancellationToken);
        }
        catch (MessageBusException refusal)
        {
            throw new SwitchException(Failure.Failed, $"{doing} failed: UDisks2 says: {refusal.Message.TrimEnd('.')}", refusal);
        }
    }

    private async Task<T> BoundAsync<T>(string doing, Task<T> task, CancellationToken cancellationToken)
    {
        try
        {
            return await task.WaitAsync(Deadline, _clock, cancellationToken);
        }
        catch (TimeoutException timeout)
        {
            throw new SwitchException(
                Failure.TimedOut, $"{doing} takes longer than {Deadline.TotalSeconds:0} s: it may still be writing; try again when that is done", timeout);
        }
    }

    /// <summary>Writes what the kernel still keeps of a disk, and claims it for an instant: the kernel refuses that while a mount, a RAID or a burning program has it.</summary>
    private async Task FinishAsync(DeviceId name, BlockDevice disk, CancellationToken cancellationToken)
    {
        var node = Path.Combine(_paths.Dev, disk.Name);
        var error = await BoundAsync($"writing to {node}", Task.Run(() => Finish(node), cancellationToken), cancellationToken);
        switch (error)
        {
            case 0 or Libc.ENOENT or Libc.ENXIO or Libc.ENODEV or Libc.ENOMEDIUM:
                break;
            case Libc.EACCES or Libc.EPERM:
                // Without the right to look we can't know more: what could be seen was not in use.
                break;
            case Libc.EBUSY:
                throw Refusal($"{name} is in use: a program or a guest has claimed {node}; close that, or take it back, and try again");
            default:
                throw new SwitchException(Failure.Failed, $"{name} can't be let go: {node}: {Marshal.GetPInvokeErrorMessage(error)}");
        }
    }

    private static int Finish(string node)
    {
        using var file = Libc.Open(node, Libc.O_RDONLY | Libc.O_NONBLOCK | Libc.O_EXCL | Libc.O_CLOEXEC, 0);
        return !file.IsInvalid && Libc.Fsync(file) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }
}
