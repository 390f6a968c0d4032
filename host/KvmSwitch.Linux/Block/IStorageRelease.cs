using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux;

/// <summary>Has the host let go of storage, so that nothing is lost when it leaves.</summary>
public interface IStorageRelease
{
    /// <summary>
    /// Returns once the host uses none of the block devices any more and all is written to them. Never unmounts lazily. What was
    /// unmounted before a failure stays so. Fewer privileges than root's suffice where UDisks2 allows it.
    /// </summary>
    /// <param name="name">What the user calls the device, for messages.</param>
    /// <param name="blocks">Of <see cref="BlockInventory"/>; none is fine.</param>
    /// <param name="force">Unmounts also where there is no UDisks2 to do it. What is in use is refused all the same.</param>
    /// <param name="cancellationToken">Ends the wait. An unmount under way goes on: its writing can't be called off.</param>
    /// <exception cref="SwitchException">Refused: it is mounted, in use, part of something else, or holds swap space. Failed or timed out: it can't be unmounted.</exception>
    Task ReleaseAsync(DeviceId name, ImmutableArray<BlockDevice> blocks, bool force, CancellationToken cancellationToken);
}
