using System.Text.Json;

namespace KvmSwitch.Qmp.Protocol;

/// <summary>Hands every event to every listener, and the end of the session to all of them.</summary>
internal sealed class EventHub
{
    private static readonly JsonElement _noData = JsonElement.Parse("{}"u8);

    private readonly Lock _gate = new();
    private QmpEventListener[] _listeners = [];
    private QmpDisconnectedException? _reason;

    internal QmpEventListener Add(Func<QmpEvent, bool>? filter, int capacity, TimeProvider clock)
    {
        var listener = new QmpEventListener(this, filter, capacity, clock);
        lock (_gate)
        {
            if (_reason is null)
            {
                _listeners = [.. _listeners, listener];
                return listener;
            }
        }

        listener.Complete(_reason);
        return listener;
    }

    internal void Remove(QmpEventListener listener)
    {
        lock (_gate)
        {
            _listeners = [.. _listeners.Where(other => other != listener)];
        }
    }

    internal void Publish(QmpMessage.Event message)
    {
        var listeners = Volatile.Read(ref _listeners);
        if (listeners.Length == 0)
        {
            return;
        }

        var happened = new QmpEvent(message.Name, message.Data?.Clone() ?? _noData, message.Timestamp);
        foreach (var listener in listeners)
        {
            listener.Offer(happened);
        }
    }

    internal void Close(QmpDisconnectedException reason)
    {
        QmpEventListener[] listeners;
        lock (_gate)
        {
            _reason = reason;
            listeners = _listeners;
            _listeners = [];
        }

        foreach (var listener in listeners)
        {
            listener.Complete(reason);
        }
    }
}
