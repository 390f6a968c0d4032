namespace KvmSwitch.Linux.Input;

/// <summary>
/// What the leds of one guest show, on its way to the loop that reads input. A guest may switch them faster than that turns:
/// then only the last state arrives.
/// </summary>
/// <param name="show">Runs in that loop. Null: not known any more.</param>
internal sealed class GuestLeds(InputLoop loop, Action<LockLeds?> show)
{
    private const int Unknown = -1;
    private int _told = Unknown;
    private int _isPosted;
    private Action? _post;

    /// <summary>From any thread.</summary>
    public void Tell(LockLeds? leds)
    {
        Interlocked.Exchange(ref _told, leds is { } lit ? (int)lit : Unknown);
        if (Interlocked.Exchange(ref _isPosted, 1) == 0) loop.Post(_post ??= Show);
    }

    private void Show()
    {
        // Before it is read: what is told from now on is posted anew.
        Interlocked.Exchange(ref _isPosted, 0);
        var told = Volatile.Read(ref _told);
        show(told == Unknown ? null : (LockLeds)told);
    }
}
