using System.Collections.Immutable;
using System.Net.Sockets;
using Tmds.DBus.Protocol;

namespace KvmSwitch.Linux;

/// <summary>A message bus by way of Tmds.DBus.Protocol. It is connected at the first call, as most who might need it never do.</summary>
/// <param name="address">As <c>unix:path=/run/dbus/system_bus_socket</c>.</param>
/// <param name="clock">For the deadline of the greeting.</param>
public sealed class BusConnection(string address, TimeProvider clock) : IMessageBus
{
    private readonly DBusConnection _connection = new(address);
    private readonly Lock _gate = new();
    private Task? _connecting;

    /// <summary>For a bus to greet, which is work of a moment; how long an answer to a call may take is the caller's to say.</summary>
    public static TimeSpan GreetingDeadline { get; } = TimeSpan.FromSeconds(5);

    /// <summary>The address of the system's bus.</summary>
    public static string SystemAddress(KernelPaths paths) =>
        Environment.GetEnvironmentVariable("DBUS_SYSTEM_BUS_ADDRESS") ?? $"unix:path={paths.Run}/dbus/system_bus_socket";

    /// <exception cref="ArgumentException">D-Bus allows no such call.</exception>
    /// <inheritdoc/>
    public async Task<ImmutableArray<BusValue>> CallMethodAsync(MethodCall call, CancellationToken cancellationToken)
    {
        BusGrammar.Check(call);
        try
        {
            await ConnectAsync().WaitAsync(GreetingDeadline, clock, cancellationToken);
            return await _connection.CallMethodAsync(Compose(call), static (message, _) => BusCodec.ReadBody(message)).WaitAsync(cancellationToken);
        }
        catch (Exception failure) when (failure is DBusExceptionBase or TimeoutException or InvalidDataException or ObjectDisposedException)
        {
            throw Failure(call, failure);
        }
    }

    public ValueTask DisposeAsync()
    {
        _connection.Dispose();
        return ValueTask.CompletedTask;
    }

    private Task ConnectAsync()
    {
        lock (_gate) return _connecting ??= _connection.ConnectAsync().AsTask();
    }

    private MessageBuffer Compose(MethodCall call)
    {
        var writer = _connection.GetMessageWriter();
        try
        {
            var signature = call.Arguments.IsEmpty ? null : string.Concat(call.Arguments.Select(argument => argument.Signature));
            writer.WriteMethodCallHeader(call.Destination, call.Path, call.Interface, call.Member, signature);
            foreach (var argument in call.Arguments) BusCodec.Write(ref writer, argument);
            return writer.CreateMessage();
        }
        finally
        {
            writer.Dispose();
        }
    }

    private MessageBusException Failure(MethodCall call, Exception failure) => failure switch
    {
        DBusErrorReplyException reply => new(reply.ErrorName, SysfsText.Clean(reply.ErrorMessage)),
        // ENOENT arrives as an address that can't be assigned.
        DBusConnectFailedException { InnerException: SocketException { SocketErrorCode: SocketError.AddressNotAvailable } } => Unreached("it isn't there"),
        DBusConnectFailedException refusal => Unreached(refusal.Message),
        TimeoutException => Unreached($"it doesn't answer within {GreetingDeadline.TotalSeconds:0} s"),
        DBusMessageException or InvalidDataException => new(null, $"the answer to {call} can't be read: {failure.Message}"),
        ObjectDisposedException => new(null, "the connection to the message bus is closed"),
        { InnerException: IOException or SocketException } => new(null, $"the connection to the message bus has ended: {failure.InnerException.Message}"),
        _ => new(null, "the connection to the message bus has ended: it doesn't speak D-Bus"),
    };

    private MessageBusException Unreached(string reason) => new(null, $"the message bus at {address} can't be reached: {SysfsText.Clean(reason)}");
}
