using System.Text.Json;
using System.Text.Json.Nodes;

namespace KvmSwitch.Demo.Harness;

/// <summary>One line of <c>kvmswitch-agent watch</c>, with the host's time of its arrival (<see cref="TimeProvider.GetTimestamp"/>).</summary>
public sealed record GuestSighting(long Timestamp, JsonObject Data);

/// <summary>What the agent's <c>watch</c> verb sees in the guest, from the guest's second serial port.</summary>
public sealed class GuestWatch : IAsyncDisposable
{
    private readonly GuestSocket _socket;

    private GuestWatch(GuestSocket socket, Journal<GuestSighting> sightings, Journal<string> unreadable) =>
        (_socket, Sightings, Unreadable) = (socket, sightings, unreadable);

    /// <summary>All that was seen since the connection.</summary>
    public Journal<GuestSighting> Sightings { get; }

    /// <summary>Lines that are no JSON object: normally none.</summary>
    public Journal<string> Unreadable { get; }

    /// <summary>Connects to the Unix socket of the guest's second <c>-serial</c>. What the guest wrote before is lost: connect before it boots.</summary>
    /// <exception cref="TimeoutException">QEMU did not listen there within <paramref name="deadline"/>.</exception>
    public static async Task<GuestWatch> ConnectAsync(string path, TimeSpan deadline, CancellationToken cancellation, TimeProvider? time = null)
    {
        time ??= TimeProvider.System;
        var (sightings, unreadable) = (new Journal<GuestSighting>(time), new Journal<string>(time));
        var socket = await GuestSocket.ConnectAsync(
            path, line => Write(line, sightings, unreadable, time), reason => End(reason, sightings, unreadable), deadline, time, cancellation);
        return new GuestWatch(socket, sightings, unreadable);
    }

    /// <summary>Reads what the verb writes from a connection that is there already, and owns it from now on.</summary>
    public static GuestWatch Over(Stream stream)
    {
        var time = TimeProvider.System;
        var (sightings, unreadable) = (new Journal<GuestSighting>(time), new Journal<string>(time));
        return new GuestWatch(
            new GuestSocket(stream, line => Write(line, sightings, unreadable, time), reason => End(reason, sightings, unreadable)), sightings, unreadable);
    }

    /// <summary>Waits for the first sighting at or after position <paramref name="from"/> that <paramref name="match"/> accepts.</summary>
    /// <exception cref="TimeoutException">None came within <paramref name="deadline"/>.</exception>
    /// <exception cref="EndOfStreamException">QEMU ended.</exception>
    public Task<GuestSighting> WaitForAsync(Func<JsonObject, bool> match, TimeSpan deadline, CancellationToken cancellation, int from = 0) =>
        Sightings.WaitForAsync(sighting => match(sighting.Data), deadline, cancellation, from);

    /// <summary>Waits until a keyboard is there that came at or after position <paramref name="from"/>: from then on its keys are seen.</summary>
    /// <param name="which">Narrows it down to one.</param>
    /// <exception cref="TimeoutException">None came within <paramref name="deadline"/>.</exception>
    public Task WaitForKeyboardAsync(int from, TimeSpan deadline, CancellationToken cancellation, Func<JsonObject, bool>? which = null) => WaitForAsync(
        entry => (string?)entry["event"] == "present" && (bool?)entry["ready"] == true
            && ((string?)entry["product"])!.Contains("Keyboard", StringComparison.Ordinal) && which?.Invoke(entry) != false,
        deadline, cancellation, from);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _socket.DisposeAsync();

    private static void Write(string line, Journal<GuestSighting> sightings, Journal<string> unreadable, TimeProvider time)
    {
        if (Parse(line) is { } data)
        {
            sightings.Add(new GuestSighting(time.GetTimestamp(), data));
        }
        else
        {
            unreadable.Add(line);
        }
    }

    private static void End(string reason, Journal<GuestSighting> sightings, Journal<string> unreadable)
    {
        sightings.End(reason);
        unreadable.End(reason);
    }

    private static JsonObject? Parse(string line)
    {
        try
        {
            return JsonNode.Parse(line) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
