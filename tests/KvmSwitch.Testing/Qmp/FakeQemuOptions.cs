using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace KvmSwitch.Testing.Qmp;

/// <summary>What a <see cref="FakeQemu"/> is like from its start.</summary>
public sealed record FakeQemuOptions
{
    /// <summary>The version that it greets with.</summary>
    public Version Version { get; init; } = new(7, 2, 22);

    /// <summary>Whether the guest runs; otherwise it waits as with <c>-S</c>.</summary>
    public bool Running { get; init; } = true;

    /// <summary>Whether the guest shuts down when it is asked to (ACPI).</summary>
    public bool ShutsDownOnPowerdown { get; init; } = true;

    /// <summary>Whether it has a VNC server, which listens nowhere.</summary>
    public bool HasVnc { get; init; }

    /// <summary>The devices of its command line.</summary>
    public ImmutableArray<FakeDevice> Devices { get; init; } =
        [new("xhci", "qemu-xhci", new JsonObject()), new("rp1", "pcie-root-port", new JsonObject())];

    /// <summary>How the bytes of each session travel.</summary>
    public FakeWire Wire { get; init; } = new();
}

/// <summary>How bytes travel, faults included.</summary>
public sealed record FakeWire
{
    /// <summary>At most so many bytes in one write; 0 means whole messages.</summary>
    public int ChunkBytes { get; init; }

    /// <summary>The connection closes after so many bytes of a session, greeting included.</summary>
    public int? CloseAfterBytes { get; init; }

    /// <summary>False: it accepts, and then says nothing, ever.</summary>
    public bool Greets { get; init; } = true;

    /// <summary>Sent before the greeting, as it is.</summary>
    public string BeforeGreeting { get; init; } = "";
}

/// <summary>A device of a <see cref="FakeQemu"/>.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Driver">Its driver, such as <c>usb-host</c>.</param>
/// <param name="Properties">What <c>device_add</c> gave, without id and driver.</param>
/// <param name="HasDescriptor">Whether it was opened through a descriptor that came by <c>add-fd</c>.</param>
/// <param name="Attached">The <c>attached</c> property: false for a <c>usb-host</c> that found nothing.</param>
public sealed record FakeDevice(string Id, string Driver, JsonObject Properties, bool HasDescriptor = false, bool Attached = true);

/// <summary>A command that a <see cref="FakeQemu"/> received.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Arguments">Its arguments.</param>
public sealed record FakeCommand(string Name, JsonObject Arguments);
