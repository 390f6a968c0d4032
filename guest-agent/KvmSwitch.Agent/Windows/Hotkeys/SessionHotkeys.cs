using System.Collections.Concurrent;
using System.Runtime.Versioning;
using KvmSwitch.Agent.Windows.Pipe;

namespace KvmSwitch.Agent.Windows.Hotkeys;

/// <summary>
/// The hotkeys of one session, on a thread of their own with its own message queue: give it each <see cref="PipeState"/> that comes from the
/// service, and send the service what it hands out. Works over elevated windows, where a hook doesn't.
/// </summary>
[SupportedOSPlatform("windows")]
internal sealed class SessionHotkeys : IDisposable
{
    // A key that is still down by then is stuck, or somebody sleeps on it: what is asked for happens all the same.
    private static readonly TimeSpan LongestHold = TimeSpan.FromSeconds(1);

    private readonly ConcurrentQueue<PipeState> states = new();
    private readonly Action<ToService> send;
    private readonly HotkeyRegistrar registrar = new(new SessionKeyboard());
    private readonly TaskCompletionSource<uint> listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Thread thread;
    private readonly uint threadId;
    private readonly string? desktop;
    private ulong lastId;

    /// <param name="send">Called on the hotkeys' thread with a request or a report for the service; must return at once. Ids begin high, to stay apart from others.</param>
    /// <param name="desktop">Another desktop than that of this process.</param>
    /// <exception cref="IOException">There is no such desktop, or this process may not use it.</exception>
    public SessionHotkeys(Action<ToService> send, string? desktop = null)
    {
        this.send = send;
        this.desktop = desktop;
        lastId = 1UL << 32;
        thread = new(Run) { IsBackground = true, Name = "hotkeys" };
        thread.Start();
        threadId = listening.Task.GetAwaiter().GetResult();
    }

    /// <summary>Takes the newest state. From any thread.</summary>
    public void Take(PipeState state)
    {
        states.Enqueue(state);
        HotkeyNative.PostThreadMessage(threadId, HotkeyNative.NewState, 0, 0);
    }

    public void Dispose()
    {
        HotkeyNative.PostThreadMessage(threadId, HotkeyNative.Quit, 0, 0);
        thread.Join();
    }

    private void Run()
    {
        if (desktop is not null && !HotkeyNative.TryMoveToDesktop(desktop, out var error))
        {
            listening.SetException(new IOException($"The desktop {desktop} can't be used ({error.Message.TrimEnd('.')}).", error));
            return;
        }

        // The first look makes the queue: only then can it be posted to.
        HotkeyNative.PeekMessage(out _, 0, 0, 0, 0);
        listening.SetResult(HotkeyNative.GetCurrentThreadId());
        while (MessageLoop.GetMessage(out var message, 0, 0, 0) > 0)
        {
            if (message.Kind == HotkeyNative.NewState)
                TakeStates();
            else if (message.Kind == HotkeyNative.HotkeyPressed && registrar.Fired((int)message.WParam) is { } fired)
                Fire(fired.Hotkey, fired.Plan);
        }

        registrar.Clear();
    }

    private void TakeStates()
    {
        while (states.TryDequeue(out var state))
        {
            if (registrar.Take(state) is { } troubles)
                send(new(++lastId, PipeVerb.Return, [], "hotkey", troubles));
        }
    }

    /// <summary>Waits until the chord is up, so that no key of it sticks on the side that loses the keyboard.</summary>
    private void Fire(PipeHotkey hotkey, ChordPlan plan)
    {
        var started = TimeProvider.System.GetTimestamp();
        HotkeyNative.BeginFineTimers();
        try
        {
            while (registrar.IsAnyDown(plan) && TimeProvider.System.GetElapsedTime(started) < LongestHold)
                HotkeyNative.WaitMilliseconds(1);
        }
        finally
        {
            HotkeyNative.EndFineTimers();
        }

        registrar.ReleaseAll();
        send(new(++lastId, hotkey.Verb, hotkey.Targets, "hotkey"));
    }
}
