using System.Text.Json.Nodes;

namespace KvmSwitch.Testing.Qmp;

/// <summary>What goes wrong with one command.</summary>
public abstract record FakeFault
{
    private FakeFault()
    {
    }

    /// <summary>Not carried out; answered with this error.</summary>
    public sealed record Refuse(string Description, string ErrorClass = "GenericError") : FakeFault;

    /// <summary>Not carried out; answered with this value, true to the schema or not. Also for commands that the fake does not know.</summary>
    public sealed record Return(JsonNode Value) : FakeFault;

    /// <summary>Carried out, never answered.</summary>
    public sealed record NeverAnswer : FakeFault;

    /// <summary>Carried out, answered only when the task completes; like QEMU, it does nothing else meanwhile.</summary>
    public sealed record AnswerAfter(Task Until) : FakeFault;

    /// <summary>Carried out, answered twice.</summary>
    public sealed record AnswerTwice : FakeFault;

    /// <summary>Carried out, answered under another id; null leaves the id out.</summary>
    public sealed record AnswerUnderId(string? Id) : FakeFault;

    /// <summary>Carried out, this text in place of the answer.</summary>
    public sealed record Say(string Text) : FakeFault;

    /// <summary>Carried out, and the connection closes after so many bytes of the answer.</summary>
    public sealed record CloseAfter(int Bytes) : FakeFault;

    /// <summary><c>device_del</c>: the event comes before the return.</summary>
    public sealed record DeletedFirst : FakeFault;

    /// <summary><c>device_del</c>: the device goes, and its event, only when the task completes.</summary>
    public sealed record DeletedAfter(Task Until) : FakeFault;

    /// <summary><c>device_del</c>: the device goes, but no event ever tells (QEMU 7.2 with some PCI devices).</summary>
    public sealed record DeletedSilently : FakeFault;

    /// <summary><c>device_del</c>: a return, but the device stays (its guest is paused or hung).</summary>
    public sealed record NeverDeleted : FakeFault;

    /// <summary><c>device_del</c>: a return, the device stays, and <c>DEVICE_UNPLUG_GUEST_ERROR</c> says that the guest wants it so.</summary>
    public sealed record UnplugRefused : FakeFault;
}
