namespace KvmSwitch.Linux.Input;

/// <summary>
/// Opens event nodes as they appear, apart from the loop that reads them: sysfs and open(2) take their time. Clones of ours are
/// never opened.
/// </summary>
internal sealed class InputWatch(
    IInputKernel kernel, IUeventSource events, TimeProvider clock, Func<InputNode, bool> isWanted, Action<IEvdevNode> opened, Action<InputNode> seen,
    Action<string> warn)
{
    // A node that can't be opened is tried again with the next event, and after this.
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Forever = TimeSpan.FromDays(1);
    private readonly Lock _gate = new();
    private readonly HashSet<string> _open = new(StringComparer.Ordinal);
    private readonly HashSet<string> _refused = new(StringComparer.Ordinal);
    private readonly UeventHub _nudges = new();

    /// <summary>A node was closed: it may be opened again, if it is still there.</summary>
    public void Closed(InputNode node)
    {
        lock (_gate) _open.Remove(node.Key);
        _nudges.Publish(Uevent.Rescan);
    }

    /// <summary>Looks for nodes until cancelled.</summary>
    /// <param name="looked">Called after the first look.</param>
    public async Task RunAsync(Action looked, CancellationToken cancellationToken)
    {
        using var uevents = events.Listen();
        using var nudges = _nudges.Listen();
        while (true)
        {
            var isAllOpen = await Task.Run(Look, cancellationToken);
            looked();
            await WaitAsync(uevents, nudges, isAllOpen ? Forever : Retry, cancellationToken);
        }
    }

    private async Task WaitAsync(UeventListener uevents, UeventListener nudges, TimeSpan bound, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] waits =
        [
            // What goes, the loop hears by itself.
            uevents.WaitAsync(uevent => uevent is { Subsystem: "input", Action: not "remove" }, bound, clock, either.Token),
            nudges.WaitAsync(_ => true, bound, clock, either.Token),
        ];
        await Task.WhenAny(waits);
        await either.CancelAsync();
        await Task.WhenAll(waits).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <returns>False: one is there that can't be opened.</returns>
    private bool Look()
    {
        var isAllOpen = true;
        foreach (var node in kernel.List().Where(node => !node.IsClone && isWanted(node)))
        {
            lock (_gate)
            {
                if (_open.Contains(node.Key))
                {
                    seen(node);
                    continue;
                }

                _open.Add(node.Key);
            }

            if (TryOpen(node, out var device))
            {
                if (device is not null) opened(device);
                continue;
            }

            isAllOpen = false;
            lock (_gate) _open.Remove(node.Key);
        }

        return isAllOpen;
    }

    /// <summary>True also when it has gone: then there is nothing to try again.</summary>
    private bool TryOpen(InputNode node, out IEvdevNode? device)
    {
        try
        {
            device = kernel.Open(node);
            _refused.Remove(node.Key);
            return true;
        }
        catch (IOException e)
        {
            device = null;
            // Said once, tried for ever.
            if (_refused.Add(node.Key)) warn(e.Message);
            return false;
        }
    }
}
