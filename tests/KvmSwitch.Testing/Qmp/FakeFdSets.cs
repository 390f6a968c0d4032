using System.Text.Json.Nodes;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Testing.Qmp;

/// <summary>The descriptors that came by <c>add-fd</c>, and those that devices keep of them.</summary>
internal sealed class FakeFdSets : IDisposable
{
    private readonly SortedDictionary<int, List<SafeFileHandle>> _sets = [];
    private readonly Dictionary<string, SafeFileHandle> _kept = new(StringComparer.Ordinal);

    internal IReadOnlyCollection<int> Ids => [.. _sets.Keys];

    internal FakeOutcome Add(JsonObject arguments, SafeFileHandle? descriptor)
    {
        if (descriptor is null)
        {
            return FakeOutcome.Refused("No file descriptor supplied via SCM_RIGHTS");
        }

        var id = Number(arguments, "fdset-id") ?? Enumerable.Range(0, int.MaxValue).First(free => !_sets.ContainsKey(free));
        if (!_sets.TryGetValue(id, out var handles))
        {
            _sets[id] = handles = [];
        }

        handles.Add(descriptor);
        return FakeOutcome.Done(new JsonObject { ["fdset-id"] = id, ["fd"] = (int)descriptor.DangerousGetHandle() });
    }

    internal FakeOutcome Remove(JsonObject arguments)
    {
        var (id, fd) = (Number(arguments, "fdset-id"), Number(arguments, "fd"));
        if (id is null)
        {
            return FakeOutcome.Refused("Parameter 'fdset-id' is missing");
        }

        var gone = _sets.TryGetValue(id.Value, out var handles)
            ? handles.Where(handle => fd is null || (int)handle.DangerousGetHandle() == fd).ToList()
            : [];
        if (gone.Count == 0)
        {
            return FakeOutcome.Refused($"File descriptor named 'fdset-id:{id}{(fd is null ? "" : $", fd:{fd}")}' not found");
        }

        foreach (var handle in gone)
        {
            handles!.Remove(handle);
            handle.Dispose();
        }

        if (handles!.Count == 0)
        {
            _sets.Remove(id.Value);
        }

        return FakeOutcome.Done();
    }

    /// <summary>A device opens /dev/fdset/N and keeps a duplicate. False if there is no such set.</summary>
    internal bool Open(string path, string deviceId)
    {
        const string Prefix = "/dev/fdset/";
        if (!path.StartsWith(Prefix, StringComparison.Ordinal) || !int.TryParse(path[Prefix.Length..], out var id)
            || !_sets.TryGetValue(id, out var handles))
        {
            return false;
        }

        var added = false;
        handles[0].DangerousAddRef(ref added);
        _kept[deviceId] = handles[0];
        return true;
    }

    internal void Close(string deviceId)
    {
        if (_kept.Remove(deviceId, out var handle))
        {
            handle.DangerousRelease();
        }
    }

    public void Dispose()
    {
        foreach (var id in _kept.Keys.ToList())
        {
            Close(id);
        }

        foreach (var handle in _sets.Values.SelectMany(handles => handles))
        {
            handle.Dispose();
        }

        _sets.Clear();
    }

    private static int? Number(JsonObject arguments, string name) =>
        arguments[name] is JsonValue value && value.TryGetValue<int>(out var number) ? number : null;
}
