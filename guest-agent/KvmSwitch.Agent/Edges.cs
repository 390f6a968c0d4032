using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Agent.Hotkeys;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Agent;

/// <summary>Tells which devices the guest has: USB, PCI functions that may have been plugged in, optical drives.</summary>
internal interface IDeviceWatcher
{
    DeviceSnapshot Current { get; }

    /// <summary>Waits until there is a snapshot other than <paramref name="seen"/>.</summary>
    Task<DeviceSnapshot> NextAsync(DeviceSnapshot seen, CancellationToken cancellationToken);
}

/// <summary>Watches for hotkeys. <see cref="ChordWatch"/> does it from single key events; a system may have its own call for it.</summary>
internal interface IHotkeys
{
    /// <summary>Called once for each hotkey pressed, on any thread; must return at once.</summary>
    Action<Hotkey>? Pressed { get; set; }

    /// <summary>Replaces all hotkeys that were watched before.</summary>
    void Watch(IReadOnlyList<Hotkey> hotkeys);
}

/// <summary>Makes the key of this guest. Behind an edge because not every system can create and export keys the same way.</summary>
internal interface IKeyMaker
{
    /// <summary>A new RSA key of at least 2048 bits.</summary>
    IGuestKey Create(string commonName);
}

/// <summary>A private key that waits for its certificate.</summary>
internal interface IGuestKey : IDisposable
{
    /// <summary>PKCS#10 request for this key, DER.</summary>
    byte[] CertificateRequest { get; }

    /// <summary>Keeps the key together with its certificate (DER). A key that was not kept is gone when this is disposed of.</summary>
    /// <exception cref="System.Security.Cryptography.CryptographicException">The certificate is damaged or for another key.</exception>
    GuestCredential Keep(ReadOnlySpan<byte> certificate);
}

/// <summary>Lets go of storage before it is detached.</summary>
internal interface IEjector
{
    /// <summary>Writes back what the system holds of the device and stops it. May take seconds.</summary>
    /// <param name="key">Of <see cref="AttachedDevice.Key"/>.</param>
    /// <returns>Null when it may leave now; else why not, one sentence.</returns>
    string? Eject(string key);
}

/// <summary>Hears how things stand with the host. Called in order, on any thread; must return at once.</summary>
internal interface ILinkListener
{
    /// <param name="machine">The machine that this guest is; null when not paired.</param>
    /// <param name="trouble">What is wrong: why there is no link, or that the clocks are far apart; null when all is well.</param>
    void LinkIs(LinkStanding standing, string? machine, string? trouble);

    /// <summary>What the host tells of the switch; null when the link is gone.</summary>
    void StateIs(GuestState? state);
}

/// <summary>How things stand with the host.</summary>
internal enum LinkStanding
{
    NotPaired,
    Unreachable,
    Refused,
    Connected,
}

/// <summary>Turns this guest off.</summary>
internal interface IPower
{
    /// <summary>Starts a clean shutdown and returns what was done, for the log.</summary>
    /// <exception cref="IOException">No way to shut down was found; the message says what is missing.</exception>
    string ShutDown();
}

/// <summary>The system that the agent runs on: what a link needs of it, and the task that keeps it current.</summary>
internal interface IGuestSystem
{
    IDeviceWatcher Devices { get; }

    IHotkeys Hotkeys { get; }

    IPower Power { get; }

    /// <summary>Null where the system has no such thing.</summary>
    IEjector? Ejector { get; }

    /// <summary>Keeps <see cref="Devices"/> and <see cref="Hotkeys"/> going until cancelled. The first snapshot is there before this returns to its caller.</summary>
    /// <exception cref="IOException">The system does not let us watch.</exception>
    Task WatchAsync(CancellationToken cancellationToken);
}

/// <summary>Where the agent says what it does: one line for each change of state.</summary>
internal interface IJournal
{
    void Write(string line);
}
