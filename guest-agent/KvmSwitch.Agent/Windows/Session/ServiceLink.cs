using System.Threading.Channels;
using KvmSwitch.Agent.Link;
using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Tray;

namespace KvmSwitch.Agent.Windows.Session;

/// <summary>What a <see cref="ServiceLink"/> needs from the system.</summary>
/// <param name="OpenAsync">Connects, or throws IOException or UnauthorizedAccessException at once.</param>
/// <param name="Health">How the service does while it can't be reached.</param>
internal sealed record ServiceEdges(Func<CancellationToken, Task<ServiceConnection>> OpenAsync, Func<ServiceHealth> Health, TimeProvider Time);

/// <summary>Keeps a session connected to the service, which may be stopped, replaced and restarted meanwhile.</summary>
internal sealed class ServiceLink(ServiceEdges edges)
{
    /// <summary>A service that stopped may come again by itself: only then is it said to be stopped.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(3);

    private const int MostUnsent = 32;
    private readonly Channel<ToService> unsent = Channel.CreateBounded<ToService>(new BoundedChannelOptions(MostUnsent) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly BackOff backOff = new();
    private volatile bool connected;

    /// <summary>Called with each message of the service, in order.</summary>
    public required Action<FromService> Heard { get; init; }

    /// <summary>Called when the service can't be reached, each time that is tried.</summary>
    public required Action<ServiceHealth> Unheard { get; init; }

    /// <summary>Sends as soon as it can. False, and nothing is sent, without a service.</summary>
    public bool TrySend(ToService message) => connected && unsent.Writer.TryWrite(message);

    /// <summary>Returns after <paramref name="stop"/>.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var lost = edges.Time.GetTimestamp();
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await edges.OpenAsync(stop);
                await ServeAsync(connection, stop);
                lost = edges.Time.GetTimestamp();
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or InvalidDataException)
            {
                // Nobody there, or not one of ours: what a person has to know is the service's health.
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }

            var health = edges.Health();
            Unheard(edges.Time.GetElapsedTime(lost) < Grace && health == ServiceHealth.Stopped ? ServiceHealth.Waiting : health);
            await Task.Delay(backOff.Next(Random.Shared.NextDouble()), edges.Time, stop).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private async Task ServeAsync(ServiceConnection connection, CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        // What was asked of a service that is gone is not asked of the next one: nobody expects it any more.
        while (unsent.Reader.TryRead(out _))
        {
        }

        var sending = SendAsync(connection, over.Token);
        try
        {
            while (await connection.ReceiveAsync(stop) is { } message)
            {
                // Only now is it ours and in order: a place that is closed at once would make us knock without pause.
                backOff.Reset();
                connected = true;
                Heard(message);
            }
        }
        catch (Exception broken) when (broken is IOException or InvalidDataException)
        {
            // As good as closed.
        }
        finally
        {
            connected = false;
            await over.CancelAsync();
            await sending;
        }
    }

    private async Task SendAsync(ServiceConnection connection, CancellationToken stop)
    {
        try
        {
            await foreach (var message in unsent.Reader.ReadAllAsync(stop))
                await connection.SendAsync(message, stop);
        }
        catch (Exception over) when (over is IOException or OperationCanceledException)
        {
            // The reader sees the end as well.
        }
    }
}
