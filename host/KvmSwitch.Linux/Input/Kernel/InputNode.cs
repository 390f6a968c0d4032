using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux.Input;

/// <summary>One event node of the host's input, as sysfs shows it. What a device says of itself is cleaned text.</summary>
/// <param name="Event">As <c>event5</c>: the node below /dev/input. Used again after an unplugging.</param>
/// <param name="Input">As <c>input27</c>: never used again until the next boot.</param>
/// <param name="Phys">Where it is plugged in, told by its driver.</param>
/// <param name="Port">The USB device that it is a part of; null: none.</param>
/// <param name="HasKeys">It can send keys of a keyboard.</param>
/// <param name="Links">Names of links to it in /dev/input/by-id and by-path.</param>
public sealed record InputNode(string Event, string Input, string Name, string Phys, UsbPort? Port, bool HasKeys, ImmutableArray<string> Links)
{
    /// <summary>Marks clones of ours, in <c>phys</c>, which no device but a virtual one can choose. The udev rule looks for it too.</summary>
    public const string ClonePhys = "kvmswitch/";

    /// <summary>Tells this plugging in of the device from every other one.</summary>
    public string Key => $"{Input}/{Event}";

    /// <summary>A clone that this daemon, or an earlier one, made.</summary>
    public bool IsClone => Phys.StartsWith(ClonePhys, StringComparison.Ordinal);

    /// <summary>The physical device that it is a part of: nodes of one device have the same.</summary>
    public string Place => Port?.Value ?? (Phys.Length > 0 ? Phys.Split("/input")[0] : Input);

    /// <summary>For people.</summary>
    public override string ToString() => Port is { } port ? $"{Event} ({Name}, port {port})" : $"{Event} ({Name})";
}
