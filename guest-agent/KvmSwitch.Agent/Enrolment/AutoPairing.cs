using KvmSwitch.Agent.Link;

namespace KvmSwitch.Agent.Enrolment;

/// <summary>Pairs a guest that is not paired with what lies ready for it, as soon as it does: a disc that the host shows, a code that the installer left.</summary>
internal sealed class AutoPairing(Enroller enroller, IdentityStore store, IJoinOffers offers, IDeviceWatcher devices, IJournal journal, TimeProvider time)
{
    /// <summary>A drive is there some time after its device: so one that has just arrived is looked for again.</summary>
    public static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);

    /// <summary>For what no hint tells of. Only a guest that is not paired looks at all.</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly StateLines lines = new(journal);

    // Of codes that the host has refused: presenting them again would only count as guesses.
    private readonly HashSet<string> refused = [];

    /// <summary>Returns after <paramref name="stop"/>.</summary>
    /// <exception cref="BadIdentityException">The state directory can't be watched.</exception>
    public async Task RunAsync(CancellationToken stop)
    {
        using var watch = new IdentityWatch(store);
        try
        {
            await TryAsync(offers.Look().Where(offer => offer.Replaces), stop);
            while (true)
            {
                var changed = watch.NextChange;
                if (IsPaired())
                    await changed.WaitAsync(stop);
                else
                    await SeekAsync(changed, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Asked to stop: the end that this has.
        }
    }

    /// <summary>Looks until this guest is paired, whoever did it.</summary>
    private async Task SeekAsync(Task paired, CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        try
        {
            // Each wait begins before the look that it follows, so that nothing comes in between unseen.
            var (arrival, change, pause) = (devices.NextAsync(devices.Current, over.Token), offers.NextChangeAsync(over.Token), FirstPause);
            while (!paired.IsCompleted && !await TryAsync(offers.Look(), over.Token))
            {
                var first = await Task.WhenAny(paired, arrival, change, Task.Delay(pause, time, over.Token));
                await first;
                pause = first == arrival || first == change ? FirstPause : TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
                if (first == arrival)
                    arrival = devices.NextAsync(await arrival, over.Token);
                if (first == change)
                    change = offers.NextChangeAsync(over.Token);
            }
        }
        finally
        {
            await over.CancelAsync();
        }
    }

    /// <returns>Whether this guest is paired now.</returns>
    private async Task<bool> TryAsync(IEnumerable<JoinOffer> all, CancellationToken stop)
    {
        foreach (var offer in all)
        {
            if (offer.Code is not { } code)
                lines.Say(offer.Problem!);
            else if (!refused.Contains(Fingerprint(code)) && await TryAsync(offer, code, stop))
                return true;
        }

        return false;
    }

    private async Task<bool> TryAsync(JoinOffer offer, JoinCode code, CancellationToken stop)
    {
        try
        {
            var identity = await enroller.JoinAsync(code, Environment.MachineName, stop);
            journal.Write($"Paired with {offer.Where}: this guest is machine {identity.Machine}.");
            offer.Spent();
            return true;
        }
        catch (JoinFailedException notNow) when (notNow.IsForNow)
        {
            lines.Say($"{offer.Where} names a host that can't be paired with yet. {notNow.Message}");
        }
        catch (JoinFailedException failed)
        {
            refused.Add(Fingerprint(code));
            lines.Say($"{offer.Where} is of no use. {failed.Message}");
            offer.Spent();
        }
        catch (BadIdentityException failed)
        {
            lines.Say(failed.Message);
        }

        return false;
    }

    private bool IsPaired()
    {
        try
        {
            return store.Load() is not null;
        }
        catch (BadIdentityException)
        {
            // A damaged pairing is none; whoever keeps the link tells of it.
            return false;
        }
    }

    private static string Fingerprint(JoinCode code) => Convert.ToHexString(code.Token);
}
