namespace KvmSwitch.Qmp;

/// <summary>The family of all failures of this client, apart from a caller's own cancellation and misuse of arguments.</summary>
public abstract class QmpException : Exception
{
    private protected QmpException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}

/// <summary>QEMU could not be reached, or did not behave like QEMU while the session was set up.</summary>
public sealed class QmpConnectException : QmpException
{
    internal QmpConnectException(string socketPath, string message, Exception? innerException = null, int? peerProcessId = null)
        : base(message, innerException) => (SocketPath, PeerProcessId) = (socketPath, peerProcessId);

    /// <summary>The path of the Unix socket that was tried.</summary>
    public string SocketPath { get; }

    /// <summary>The process that made the listening socket, where it took the connection: it runs, but doesn't talk. Null: nobody listens there.</summary>
    public int? PeerProcessId { get; }
}

/// <summary>The session is over. Every wait on it ends with the first reason.</summary>
public sealed class QmpDisconnectedException : QmpException
{
    internal QmpDisconnectedException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}

/// <summary>The peer sent something that is not QMP, or an answer of another shape than the QAPI schema gives it.</summary>
public sealed class QmpProtocolException : QmpException
{
    internal QmpProtocolException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}

/// <summary>QEMU answered a command with an error.</summary>
public sealed class QmpCommandException : QmpException
{
    internal QmpCommandException(string command, string errorClass, string description)
        : base($"QEMU refused {command}: {description}")
    {
        Command = command;
        ErrorClass = errorClass;
        Description = description;
    }

    /// <summary>The command that was refused.</summary>
    public string Command { get; }

    /// <summary>QAPI's <c>QapiErrorClass</c>, see <see cref="QmpErrorClass"/>. The only part to decide on.</summary>
    public string ErrorClass { get; }

    /// <summary>QEMU's sentence for people. It changes between versions: show it, never decide on it.</summary>
    public string Description { get; }
}

/// <summary>A deadline passed. What was asked for may still happen: look at the state before asking again.</summary>
public sealed class QmpTimeoutException : QmpException
{
    internal QmpTimeoutException(string? command, TimeSpan deadline, string message)
        : base(message)
    {
        Command = command;
        Deadline = deadline;
    }

    /// <summary>The command that was waited for; null where it was an event.</summary>
    public string? Command { get; }

    /// <summary>How long was waited.</summary>
    public TimeSpan Deadline { get; }
}

/// <summary>The guest refused to let a device go (QAPI event <c>DEVICE_UNPLUG_GUEST_ERROR</c>, QEMU 6.2 and later).</summary>
public sealed class QmpUnplugRefusedException : QmpException
{
    internal QmpUnplugRefusedException(string deviceId)
        : base($"The guest refused to let go of device '{deviceId}'.") => DeviceId = deviceId;

    /// <summary>The device that stays in the guest.</summary>
    public string DeviceId { get; }
}

/// <summary>The values of QAPI's <c>QapiErrorClass</c> (qapi/error.json).</summary>
public static class QmpErrorClass
{
    /// <summary>Nearly all errors.</summary>
    public const string GenericError = "GenericError";

    /// <summary>The command does not exist, or not in this state of the session.</summary>
    public const string CommandNotFound = "CommandNotFound";

    /// <summary>A device was not activated.</summary>
    public const string DeviceNotActive = "DeviceNotActive";

    /// <summary>No device has that id.</summary>
    public const string DeviceNotFound = "DeviceNotFound";

    /// <summary>KVM lacks a capability.</summary>
    public const string KvmMissingCap = "KVMMissingCap";
}
