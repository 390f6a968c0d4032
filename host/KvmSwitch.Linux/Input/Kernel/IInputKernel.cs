using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace KvmSwitch.Linux.Input;

/// <summary>The kernel's input devices: the edge that fakes replace.</summary>
public interface IInputKernel
{
    /// <summary>All event nodes that are there now. What vanishes while it is read is left out.</summary>
    ImmutableArray<InputNode> List();

    /// <summary>Null when it has gone.</summary>
    /// <exception cref="IOException">It is there and can't be opened.</exception>
    IEvdevNode? Open(InputNode node);

    /// <summary>Makes a virtual device. It lives until it is disposed, or our process ends.</summary>
    /// <exception cref="IOException">The kernel has no uinput, or we may not use it.</exception>
    IVirtualInput Create(CloneSpec spec);
}

/// <summary>What a virtual device is like.</summary>
/// <param name="Phys">Begins with <see cref="InputNode.ClonePhys"/>.</param>
public sealed record CloneSpec(string Name, string Phys, InputCapabilities Capabilities);

/// <summary>What became of asking for a device alone.</summary>
public enum GrabOutcome
{
    Granted,

    /// <summary>Another program has it (EBUSY).</summary>
    Busy,

    /// <summary>Unplugged.</summary>
    Gone,
}

/// <summary>One open event node (Documentation/input/event-codes.rst and linux/input.h in the kernel's source). Disposing it drops the grab.</summary>
public interface IEvdevNode : IDisposable
{
    InputNode Node { get; }

    InputCapabilities Capabilities { get; }

    /// <summary>Readable when there are events, or when the device has gone.</summary>
    SafeHandle Handle { get; }

    /// <summary>Now, as the times of its events are: <see cref="InputEvent.Microtime"/>.</summary>
    long Microtime { get; }

    /// <summary>Never blocks. The number of events; 0: none now; -1: the device has gone.</summary>
    int Read(Span<InputEvent> events);

    /// <summary>
    /// Feeds events in as if the device had sent them: whoever hears the device hears them. Leds are told so too. What changes
    /// nothing (the release of a key that is up) has no effect.
    /// </summary>
    /// <returns>False: the device has gone.</returns>
    bool Inject(ReadOnlySpan<InputEvent> events);

    /// <summary>From now on nobody but us hears the device. Takes microseconds.</summary>
    GrabOutcome Grab();

    /// <summary>Everybody hears it again, at once. Returns only after some 30 ms: not for a thread that others wait for.</summary>
    void Ungrab();

    /// <summary>The keys that are down, as the kernel sees it; key events that wait to be read are forgotten (EVIOCGKEY does that).</summary>
    /// <returns>False: the device has gone.</returns>
    bool ReadKeys(KeySet keys);

    /// <summary>As <see cref="ReadKeys"/>, but nothing is forgotten.</summary>
    bool PeekKeys(KeySet keys);

    /// <summary>The leds that are lit, by code, as bits.</summary>
    uint ReadLeds();

    /// <summary>Where an absolute axis stands.</summary>
    bool TryReadAxis(ushort code, out int value);

    /// <summary>Only keys interest us: other events are no longer sent.</summary>
    void KeysOnly();
}

/// <summary>A virtual device of ours (Documentation/input/uinput.rst in the kernel's source).</summary>
public interface IVirtualInput : IDisposable
{
    CloneSpec Spec { get; }

    /// <summary>As <see cref="InputNode.Event"/>.</summary>
    string Event { get; }

    /// <summary>As <see cref="InputNode.Input"/>.</summary>
    string Input { get; }

    /// <summary>Path of its node.</summary>
    string Path { get; }

    /// <summary>Readable when it is told something, as leds.</summary>
    SafeHandle Handle { get; }

    /// <summary>Sends events, all or none. Never blocks.</summary>
    /// <returns>False: the kernel takes none any more.</returns>
    bool Write(ReadOnlySpan<InputEvent> events);

    /// <summary>What it is told. Never blocks. 0: nothing now.</summary>
    int Read(Span<InputEvent> events);

    /// <summary>Makes the node this user's, and nobody else's (mode 0600).</summary>
    /// <exception cref="IOException">Not permitted.</exception>
    void GiveTo(uint user, uint group);
}
