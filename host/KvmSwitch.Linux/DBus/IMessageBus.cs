using System.Collections.Immutable;

namespace KvmSwitch.Linux;

/// <summary>
/// One connection to a D-Bus message bus (dbus.freedesktop.org/doc/dbus-specification.html). Safe for any number of callers. Has
/// the shape of a D-Bus library's connection and none of its types, so that another one is one small adapter.
/// </summary>
public interface IMessageBus : IAsyncDisposable
{
    /// <summary>Calls a method and returns the values of its reply. Cancelling ends the wait, not the call.</summary>
    /// <exception cref="MessageBusException">The other side answered with an error, or the connection has ended.</exception>
    Task<ImmutableArray<BusValue>> CallMethodAsync(MethodCall call, CancellationToken cancellationToken);
}

/// <param name="Destination">Bus name, as <c>org.freedesktop.UDisks2</c>.</param>
/// <param name="Path">Object path.</param>
public sealed record MethodCall(string Destination, string Path, string Interface, string Member, params ImmutableArray<BusValue> Arguments)
{
    public override string ToString() => $"{Interface}.{Member}";
}

/// <summary>A call on the bus did not succeed.</summary>
public sealed class MessageBusException : Exception
{
    /// <param name="errorName">As the other side sent it; null when nobody answered.</param>
    public MessageBusException(string? errorName, string message)
        : base(message) => ErrorName = errorName;

    /// <summary>As <c>org.freedesktop.DBus.Error.ServiceUnknown</c>; null when there is no bus, or the connection has ended.</summary>
    public string? ErrorName { get; }
}
