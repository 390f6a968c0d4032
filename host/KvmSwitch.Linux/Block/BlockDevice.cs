using System.Collections.Immutable;

namespace KvmSwitch.Linux;

/// <summary>A block device of the host: a disk, a partition, or what device-mapper or md made of some.</summary>
/// <param name="Name">The kernel's, as <c>sdb1</c>; also that of its node.</param>
/// <param name="Numbers">As <c>8:17</c>.</param>
/// <param name="IsPartition">Of a disk that is listed beside it.</param>
/// <param name="IsEncryption">Made by dm-crypt.</param>
/// <param name="Holders">Names of the block devices that are made of it.</param>
public sealed record BlockDevice(string Name, string Numbers, bool IsPartition, bool IsEncryption, ImmutableArray<string> Holders);

/// <summary>What the host does with some block devices, and with those that are made of them.</summary>
/// <param name="Devices">All of them, also those that are made of the ones that were asked for.</param>
/// <param name="Mounts">The last one first: the order in which they can be unmounted.</param>
/// <param name="Swaps">Names of devices that hold swap space in use.</param>
public sealed record BlockUse(ImmutableArray<BlockDevice> Devices, ImmutableArray<(BlockDevice Device, Mount Mount)> Mounts, ImmutableArray<string> Swaps);
